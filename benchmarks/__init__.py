"""What minigrad is measured by: `python -m benchmarks.run`, `python -m benchmarks.scaling`."""
