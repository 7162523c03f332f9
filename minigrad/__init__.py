"""minigrad: a neural-network framework to read in an afternoon."""
