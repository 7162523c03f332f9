"""Models and trainings as files: a format that can be checked, written whole or not at all."""


class ModelFileError(ValueError):
    """What is wrong with a model file, in one line that names the file."""
