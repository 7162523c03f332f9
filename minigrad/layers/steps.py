"""What recurrent layers share: where the steps of a sequence lie, which of them are padding, what goes on between them.

`recurrent.py` has the layers themselves, and the shapes.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minigrad.functions import as_rows
from minigrad.initializers import glorot_uniform, orthogonal
from minigrad.layer import Layer
from minigrad.parameter import Array, parameter


def check_padding(name: str, padding: float | None) -> None:
    """Raise ValueError for a `padding` that no number could equal, or that would not leave the products finite."""
    if padding is not None and not math.isfinite(padding):
        raise ValueError(f"{name}: padding={padding} must be a finite number")


def real_steps(x: Array, padding: float | None) -> Any:
    """Which steps of x (B, T, F) are no padding, (B, T, 1); None where there is no padding."""
    return None if padding is None else (x != padding).any(axis=-1, keepdims=True)


class Recurrent(Layer):
    """What SimpleRNN, LSTM and GRU share.

    With `padding=value`, a step all of whose features equal it is none: the state passes it by, so that y repeats the
    step before, and its dx is 0. So rows of different lengths fit into one array. Embedding(…, padding=code) gives such
    steps, of zeros.

    With `truncate=k`, no gradient passes from the last k steps to those before, nor from the k before them, and so on
    (Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network trajectories",
    Neural Computation 2, 1990). It is no derivative then, but one of the pieces.

    For each gate, W is drawn as Glorot and Bengio have it and U is orthogonal (Saxe, McClelland and Ganguli, "Exact
    solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR 2014), from `seed`.
    """

    row_axes = 2  # (T, I)

    dW: Array
    dU: Array
    b: Array
    db: Array
    gates: ClassVar[int]
    biases: ClassVar[tuple[float, ...]]
    """What the parts of b, of H numbers each, start from."""

    W, dW = parameter()
    U, dU = parameter()
    b, db = parameter(decay=False)

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        return_sequences: bool = False,
        padding: float | None = None,
        truncate: int | None = None,
        seed: int | None = None,
    ) -> None:
        name = f"{type(self).__name__}({in_features}, {hidden_features})"
        if in_features < 1 or hidden_features < 1:
            raise ValueError(f"{name}: both widths must be at least 1")
        if truncate is not None and truncate < 1:
            raise ValueError(f"{name}: truncate={truncate} must be at least one step")
        check_padding(name, padding)
        self.in_features = in_features
        self.hidden_features = hidden_features
        self.return_sequences = return_sequences
        self.seed = seed
        self.padding = padding
        self.truncate = truncate
        rng = np.random.default_rng(seed)
        self.W = np.hstack([glorot_uniform(rng, (in_features, hidden_features)) for _ in range(self.gates)])
        self.U = np.hstack([orthogonal(rng, (hidden_features, hidden_features)) for _ in range(self.gates)])
        self.b = np.repeat(self.biases, hidden_features)

    def _begin(self, x: Array) -> Any:
        """x W + b for every step, (T, B, G, H); makes the place for h, and notes which steps are real."""
        self.output_shape(x.shape[1:])
        B, T, _ = x.shape
        x = x.transpose(1, 0, 2)
        self.real: Any = real_steps(x, self.padding)
        self.x: Array = as_rows(x)
        z = self.x @ self.W + self.b[: self.gates * self.hidden_features]
        self.h: Array = np.zeros_like(z, shape=(T + 1, B, self.hidden_features))
        return z.reshape(T, B, self.gates, self.hidden_features)

    def _unless_padded(self, t: int, new: Array, old: Array) -> Array:
        """The new state, or the old one where step t is padding."""
        return new if self.real is None else new * self.real[t] + old * ~self.real[t]

    def _end(self) -> Any:
        return self.h[1:].transpose(1, 0, 2) if self.return_sequences else self.h[-1]

    def _sent(self, dy: Array) -> Array:
        """What each step's h is sent from outside, (T, B, H)."""
        if self.return_sequences:
            return dy.transpose(1, 0, 2)
        dh = np.zeros_like(dy, shape=self.h[1:].shape)
        dh[-1:] = dy
        return dh

    def _masked(self, derivatives: Array) -> Array:
        """Derivatives at every step (T, B, …), and 0 at padding."""
        if self.real is None:
            return derivatives
        return derivatives * self.real.reshape(*self.real.shape[:2], *[1] * (derivatives.ndim - 2))

    def _kept(self, share: Array) -> Array:
        """How much of the old state the new one keeps, (T, B, H): all of it at padding."""
        return share if self.real is None else share * self.real + ~self.real

    def _passed(self, t: int, dh: Array, dh_before: Array) -> Array:
        """What step t sends back to the state before it: all of dh where t is padding, and nothing across a cut."""
        return self._cut(t, dh_before if self.real is None else dh_before + dh * ~self.real[t])

    def _cut(self, t: int, dh: Array) -> Array:
        """What is sent back from step t, and 0 where `truncate` cuts before it."""
        cut = self.truncate is not None and (len(self.h) - 1 - t) % self.truncate == 0
        return np.zeros_like(dh) if cut else dh

    def _flat(self, a: Array) -> Array:
        """The gates of a step, or of all, side by side: (…, G, H) as (n, G H)."""
        return a.reshape(-1, self.gates * self.hidden_features)

    def _finish(self, dz: Array, du: Array) -> Array:
        """dx, and the gradients of W and U: dz (T, B, G, H) is that of x W + b, du that of h U."""
        dz, du = self._flat(dz), self._flat(du)
        self.dW, self.dU = self.x.T @ dz, as_rows(self.h[:-1]).T @ du
        return (dz @ self.W.T).reshape(len(self.h) - 1, -1, self.in_features).transpose(1, 0, 2)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(T, I) -> (H,), or (T, H) with return_sequences. Raises ValueError for other rows, and for no step."""
        if len(input_shape) != 2 or input_shape[-1] != self.in_features or input_shape[0] < 1:
            raise ValueError(f"{self!r} takes rows of steps (T, {self.in_features}), not rows of shape {input_shape}")
        return (*input_shape[: int(self.return_sequences)], self.hidden_features)
