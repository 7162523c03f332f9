"""What the right gradient is: the numerical derivative, with its error, and how a gradient is compared with it."""
