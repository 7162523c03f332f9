"""Derivatives from a forward alone: a layer that writes no backward has the one that follows from its forward.

`running` traces the forward and walks back over its trace; `trace` notes what a forward did, `rules` has the derivative
of every function, `reverse` is the walk.
"""

from minigrad.derivation.running import backward as backward, forward as forward, gradients as gradients
from minigrad.derivation.trace import DerivationError as DerivationError
