"""Training: epochs of gradient steps, what `fit` makes of them, and what is kept of them."""

from minigrad.training.loop import DivergenceError as DivergenceError
from minigrad.training.loop import Epoch as Epoch
from minigrad.training.loop import History as History
