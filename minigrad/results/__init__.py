"""What is known about a trained network: measured, in words, as a page."""
