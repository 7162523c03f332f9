"""The slips that are made in writing a derivative, as changes of a syntax tree (see `slips`)."""
