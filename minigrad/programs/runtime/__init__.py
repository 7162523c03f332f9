"""The runtime: compiles the steps that a training repeats, keeps them as long as they hold, and runs them."""
