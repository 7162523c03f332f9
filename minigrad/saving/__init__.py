"""Models and trainings as files: a format that can be checked, written whole or not at all."""
