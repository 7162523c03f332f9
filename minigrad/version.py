"""The version of minigrad, in the one place that the package, its files and its installer read it from."""

__version__ = "0.1.0"
