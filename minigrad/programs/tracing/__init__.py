"""Tracing: the layers of a model run once on arrays that note down each operation."""
