"""Training: the loop, what `fit` makes of it, and what is kept of it."""

from minigrad.training.history import DivergenceError as DivergenceError, Epoch as Epoch, History as History
