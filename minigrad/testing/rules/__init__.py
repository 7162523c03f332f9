"""The rules that a check tries, by subject (see `protocol` for all of a layer's in their order)."""
