"""The layer: the protocol that every layer keeps.

A layer of one's own is about ten lines: declare the parameters, set them in `__init__`, write `forward` and `backward`.

    class Scale(Layer):
        '''y = g x      dg = Σ_B dy x,  dx = dy g'''

        traceable = True

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

from minigrad.configured.hints import LAYER, answering
from minigrad.layer.foundation import (
    REGISTRY as REGISTRY,
    TRACING as TRACING,
    WHOLE as WHOLE,
    Foundation,
    Hint,
    Reserved,
    whole_copy as whole_copy,
)
from minigrad.parameter import Array, gradient_name, held, states_of


@answering(LAYER)
class Layer(Foundation):
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
    * What lasts is declared: the constructor's arguments, the parameters, and what `state()` declares. A copy, a pickle
      and a file have these. All other attributes belong to the batch, and may be anything; a copy has those that
      `__init__` sets as `__init__` left them, and no others.
    * What `forward` and `backward` do follows from their argument and from what lasts. Where a layer counts or draws at
      random, it declares the counter or the generator with `state()`.
    * A class that says `traceable = True` in its own body promises that training may compile it: its `forward` and
      `backward` depend on nothing but their argument and what lasts. It has no other counter or generator, and reads no
      clock and no variable from elsewhere that changes. Every other layer of your own runs as it is. A subclass has to
      say it again.

    A layer can't use `params`, `grads`, `layers` or the name of a method of the protocol for anything else: the error
    names it. All other attributes may be called as you like.

    What is no bug and looks like one to `check_layer` a class says by `domain`, `surrogate`, `tolerance`,
    `rows_together` or `untrained`: `help(minigrad.testing.check_layer)` has a line on each.
    """

    layers: Sequence[Layer] = ()

    def forward(self, x: Array) -> Array:
        """Return y for the rows x, and keep what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def backward(self, dy: Array) -> Any:
        """Return dx = dL/dx for dy = dL/dy of the latest `forward`, and set the gradients of the parameters."""
        return Layer._derivation().backward(self, dy)

    def predict(self, x: Array) -> Array:
        """Return y for the rows x without training: `forward` on a shallow copy, so that nothing is kept."""
        y: Array = self._inferring().forward(x)
        return y

    @Reserved
    def params(self) -> dict[str, Array]:
        """The layer's own parameters by name, such as `{"W": …, "b": …}`; the arrays themselves, not copies."""
        return {} if self._fixed else held(self, self._parameters)

    @Reserved
    def grads(self) -> dict[str, Array]:
        """The gradients, under the names of their parameters."""
        return {name: vars(self)[gradient_name(self, name)] for name in self.params}

    @Hint
    def states(self) -> dict[str, Any]:
        """What the layer keeps without training it: arrays and random generators by name."""
        return states_of(self)

    @Hint
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one row that the layer takes, where its constructor settles that; else None."""
        return None

    @Hint
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


class SameShape(Layer):
    """A layer whose y has the shape of x."""

    features: int | None = None
    """How many columns x must have, where that is settled."""

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…, I) -> the same. Raises ValueError for rows of another width than `features`."""
        if self.features is not None and input_shape[-1:] != (self.features,):
            raise ValueError(f"{self!r} takes rows of shape (…, {self.features}), not {input_shape}")
        return input_shape


def run_forward(layers: Sequence[Layer], x: Array) -> Array:
    """Run x through the layers, one after the other; an error says in which of them it happened."""
    for position, layer in enumerate(layers, 1):
        try:
            x = layer.forward(x)
            if x is None:
                raise TypeError("its forward returns None; end it with: return y")
        except Exception as error:
            error.add_note(f"in layer {position} of {len(layers)}, {layer!r}, which was given {np.shape(x)}")
            raise
    return x


def run_predict(layers: Sequence[Layer], x: Array) -> Array:
    """Inference through the layers, one after the other; an error says in which of them it happened."""
    for position, layer in enumerate(layers, 1):
        try:
            x = layer.predict(x)
        except Exception as error:
            error.add_note(f"in layer {position} of {len(layers)}, {layer!r}, which was given {np.shape(x)}")
            raise
    return x


def run_backward(layers: Sequence[Layer], dy: Array) -> Any:
    """Run dy back through the layers, last one first; an error says in which of them it happened.

    It ends with a layer of integers, which returns None: nothing before that has a derivative.
    """
    for position in range(len(layers), 0, -1):
        layer = layers[position - 1]
        try:
            dy = layer.backward(dy)
        except Exception as error:
            error.add_note(f"in backward of layer {position} of {len(layers)}, {layer!r}, given {np.shape(dy)}")
            if isinstance(error, AttributeError) and error.obj is layer:
                error.add_note("what backward needs, forward keeps: call forward(x) first")
            raise
        if dy is None:
            break
    return dy
