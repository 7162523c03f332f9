"""Training: the loop, what `fit` makes of it, and what is kept of it."""

from minigrad.training.history import DivergenceError as DivergenceError
from minigrad.training.history import Epoch as Epoch
from minigrad.training.history import History as History
