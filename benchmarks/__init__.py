"""What minigrad is measured by: `python -m benchmarks.run`, `.profile` and `.scaling` for time, `.walk` for reading."""
