"""The layer: the protocol that every layer keeps.

A layer of one's own is about ten lines: declare the parameters, set them in `__init__`, write `forward` and `backward`.

    class Scale(Layer):
        '''y = g x      dg = Σ_B dy x,  dx = dy g'''

        g, dg = parameter()

        def __init__(self, features):
            self.features = features
            self.g = np.ones(features)

        def forward(self, x):
            self.x = x
            return x * self.g

        def backward(self, dy):
            self.dg = (dy * self.x).sum(axis=0)
            return dy * self.g

`minigrad.testing.check_layer` proves it right; its help says how a layer tells it of a `domain`, a `surrogate`, a
`tolerance`, of `rows_together` or `untrained` layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.inherited import Inherited
from minigrad.parameter import Array


class Layer(Inherited):
    """A function of an array of rows, with its derivative.

    The promises, each of which `minigrad.testing.check_layer` checks:

    * `forward(x) -> y` keeps on `self` what `backward` needs; it accepts zero rows.
    * `backward(dy) -> dx` belongs to the latest `forward`. It *sets* every gradient, never adds to it, and may be
      called again. A layer of integers (Embedding) returns None. A layer that writes none has the one that follows from
      its forward; `print(minigrad.derive(layer))` shows it.
    * Neither changes its argument.
    * `predict(x)` is inference; it leaves a pending `backward` alone.
    * Constructor arguments are attributes of the same names. So `config()`, `repr` and loading come for free. A file
      holds numbers, text, layers and lists of these: an array is given as a list, a generator as its seed, a function
      or a dtype by a name that `forward` looks up.
    * A layer that holds layers lists them in `self.layers`.
    * What `forward` and `backward` keep of a batch is no part of the layer: a copy, a pickle or a file has no rows in
      it. What `__init__` gives a value, and what others set later, is the layer's own, and stays in a copy or pickle. A
      file and a checkpoint have the arguments of `__init__`, the parameters and what is declared with `state()`: an
      attribute that changes otherwise is as `__init__` makes it again, and `save` warns of it.
    * What it does in `forward` and `backward` follows from its argument and from what it holds in its attributes. Where
      it counts, draws at random or keeps what it never reads, undeclared, `fit` notices and runs the layer as it is.
      What lies elsewhere it can't see: do not let the formula depend on a global variable, the clock or an object of
      your own that changes as training goes on; hand such a thing to the layer as an attribute, or declare it with
      `state()`.

    What is no bug and looks like one to `check_layer` a class says by `domain`, `surrogate`, `tolerance`,
    `rows_together` or `untrained`: `help(minigrad.testing.check_layer)` has a line on each.
    """

    layers: Sequence[Layer] = ()

    def forward(self, x: Array) -> Array:
        """Return y for the rows x, and keep what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def backward(self, dy: Array) -> Any:
        """Return dx = dL/dx for dy = dL/dy of the latest `forward`, and set the gradients of the parameters."""
        return Layer.derivation().backward(self, dy)

    def predict(self, x: Array) -> Array:
        """Return y for the rows x without training: `forward` on a shallow copy, so that nothing is kept."""
        y: Array = self._inferring().forward(x)
        return y

    @property
    def params(self) -> dict[str, Array]:
        """The layer's own parameters by name, such as `{"W": …, "b": …}`; the arrays themselves, not copies."""
        return {} if self.fixed else self._held(self._parameters)

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients, under the names of their parameters."""
        return {name: vars(self)[self.gradient_name(name)] for name in self.params}

    @property
    def states(self) -> dict[str, Any]:
        """What the layer keeps without training it: arrays and random generators by name."""
        return self._held((*self._parameters, *self._states) if self.fixed else self._states)

    @property
    def decaying(self) -> list[str]:
        """The names of the parameters that L2 applies to."""
        return [marker.name for marker in self._parameters if marker.decay and marker.name in self.params]

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one row that the layer takes, where its constructor settles that; else None."""
        return None

    @property
    def row_axes(self) -> int:
        """How many axes a row of x has at least: 2 for what looks along steps (T, I), 3 for images (H, W, C)."""
        return 1

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of y for rows of x of `input_shape` (both without the batch axis).

        The default tries it: it runs `predict` on one row of zeros. Raises ValueError where such rows do not fit.
        """
        with np.errstate(all="ignore"):
            try:
                y = self.predict(np.zeros((1, *input_shape)))
            except IndexError:  # zeros that are to be looked up in a table must be integers
                y = self.predict(np.zeros((1, *input_shape), np.intp))
        if y is None:
            raise TypeError("its forward returns None; end it with: return y")
        return y.shape[1:]
