"""From layers to a straight-line function: arrays that record, lines, their compilation and writing, and the work."""
