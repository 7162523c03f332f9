"""What a rule has at hand: copies of what is checked, inputs, and comparing (see `layers` and `losses`)."""
