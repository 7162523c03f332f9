"""Recurrent layers: one step of a layer after the other along a sequence, with a state that goes from step to step.

Shapes: x (B, T, I), T steps of each row. The state h is (B, H); y is the last of them (B, H), or with
`return_sequences=True` all (B, T, H). G gates of H units each make W (I, G H), U (H, G H) and b (G H,).

Backpropagation through time goes the same way back. What a gate's derivative is at a step does not depend on later
steps, so it is taken for all steps at once; only dh, what the next step sends back, must go from step to step. Arrays
over all steps are (T, B, …), so that a step lies together in memory. h has one place more: h_0 = 0 comes before the
first step. Source: Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of the IEEE 78,
1990.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minigrad.functions import exp_minus, sum_of_rows, tanh_slope
from minigrad.layers.steps import Recurrent
from minigrad.parameter import Array


class SimpleRNN(Recurrent):
    """h_t = tanh(x_t W + h_{t-1} U + b)

    dz_t = dh_t (1 - h_t²),   dh_{t-1} = dz_t Uᵀ + dy_{t-1}
    dW = Σ_t x_tᵀ dz_t,   dU = Σ_t h_{t-1}ᵀ dz_t,   db = Σ_B,t dz_t,   dx_t = dz_t Wᵀ

    Shapes: x (B, T, I), W (I, H), U (H, H), b (H,); y (B, H) or (B, T, H).

    From the last step to the first; dh_t begins as what y and the step after send back:

    * h_t = tanh(z_t) has the slope 1 - h_t²: dz_t = dh_t (1 - h_t²).
    * z_t is a Dense of x_t and one of h_{t-1}: dx_t = dz_t Wᵀ, and h_{t-1} gets dz_t Uᵀ, beside its own dy_{t-1}.
    * Every step uses W, U and b, so their gradients add up over the steps.

    Source: Elman, "Finding structure in time", Cognitive Science 14, 1990.

    Raises ValueError for a width or a `truncate` below 1, and for a `padding` that is not finite.
    """

    gates: ClassVar[int] = 1
    biases: ClassVar[tuple[float, ...]] = (0.0,)

    def forward(self, x: Array) -> Array:
        """x (B, T, I) -> y (B, H), or (B, T, H)."""
        z = self._begin(x)
        self.z: Array = np.zeros_like(self.h[1:])
        for t in range(len(z)):
            self.z[t] = z[t, :, 0] + self.h[t] @ self.U
            self.h[t + 1] = self._unless_padded(t, np.tanh(self.z[t]), self.h[t])
        return self._end()

    def backward(self, dy: Array) -> Array:
        """dy, as y -> dx (B, T, I); sets dW (I, H), dU (H, H) and db (H,)."""
        sent, slope = self._sent(dy), self._masked(tanh_slope(self.z))
        dz, dh = np.zeros_like(slope), np.zeros_like(slope[0])
        for t in reversed(range(len(dz))):
            dh = dh + sent[t]
            dz[t] = dh * slope[t]
            dh = self._passed(t, dh, dz[t] @ self.U.T)
        self.db: Array = sum_of_rows(dz)
        return self._finish(dz, dz)


class LSTM(Recurrent):
    """c_t = f c_{t-1} + i g,   h_t = o tanh c_t,   i, f, o = σ(z),   g = tanh(z),   z = x_t W + h_{t-1} U + b

    dc_t += dh_t o (1 - tanh² c_t),   dc_{t-1} = f dc_t,   dh_{t-1} = dz_t Uᵀ + dy_{t-1}
    dz_i = dc g i (1 - i),   dz_f = dc c_{t-1} f (1 - f),   dz_g = dc i (1 - g²),   dz_o = dh tanh(c) o (1 - o)
    dW = Σ_t x_tᵀ dz_t,   dU = Σ_t h_{t-1}ᵀ dz_t,   db = Σ_B,t dz_t,   dx_t = dz_t Wᵀ

    Shapes: x (B, T, I), W (I, 4 H), U (H, 4 H), b (4 H,); y (B, H) or (B, T, H). The gates stand in the order i, f, g,
    o (input, forget, cell, output), which is PyTorch's; PyTorch has two biases, of which b is the sum.

    From the last line to the first, for one step; dh and dc begin as what y and the step after send back:

    * h = o tanh c is a product, and each factor gets dh times the other one: do = dh tanh c, and what tanh c gets
      becomes dh o (1 - tanh² c) for c, beside what the step after sends through f.
    * c_t = f c_{t-1} + i g is a sum of two products: df = dc c_{t-1}, dc_{t-1} = dc f, di = dc g and dg = dc i.
    * i, f, o = σ(z) have the slope y (1 - y), and g = tanh(z) has 1 - y²: that makes dz of di, df, dg and do.
    * z is a Dense of x_t and one of h_{t-1}: dx_t = dz Wᵀ, dh_{t-1} = dz Uᵀ. Every step uses W, U and b, so their
      gradients add up over the steps.

    The cell c is a sum along the steps, not a product: f near 1 lets its gradient through undiminished. So b of f
    starts at 1 (Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network architectures", ICML
    2015). Sources: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; f by Gers,
    Schmidhuber and Cummins, "Learning to forget", Neural Computation 12, 2000.

    Raises ValueError for a width or a `truncate` below 1, and for a `padding` that is not finite.
    """

    gates: ClassVar[int] = 4
    biases: ClassVar[tuple[float, ...]] = (0.0, 1.0, 0.0, 0.0)

    def forward(self, x: Array) -> Array:
        """x (B, T, I) -> y (B, H), or (B, T, H)."""
        z = self._begin(x)
        self.e: Any = np.zeros_like(z)
        self.s: Any = np.zeros_like(z)
        self.c: Array = np.zeros_like(self.h)
        self.g: Array = np.zeros_like(self.h[1:])
        self.tanh_c: Array = np.zeros_like(self.h[1:])
        for t in range(len(z)):
            a = z[t] + (self.h[t] @ self.U).reshape(z.shape[1:])
            self.e[t] = exp_minus(a)
            self.s[t] = 1 / (1 + self.e[t])
            self.g[t] = np.tanh(a[:, 2])
            i, f, _, o = self.s[t].transpose(1, 0, 2)
            self.c[t + 1] = self._unless_padded(t, f * self.c[t] + i * self.g[t], self.c[t])
            self.tanh_c[t] = np.tanh(self.c[t + 1])
            self.h[t + 1] = self._unless_padded(t, o * self.tanh_c[t], self.h[t])
        return self._end()

    def backward(self, dy: Array) -> Array:
        """dy, as y -> dx (B, T, I); sets dW (I, 4 H), dU (H, 4 H) and db (4 H,)."""
        i, f, _, o = self.s.transpose(2, 0, 1, 3)
        p = self.e * self.s * self.s  # σ' = σ (1 - σ), of which 1 - tanh² = (2 σ' / (1 - 2 σ'))² is made as well
        di, df, dg, do = p.transpose(2, 0, 1, 3)
        of_c = np.stack([self.g * di, self.c[:-1] * df, i * np.square(2 * dg / (1 - 2 * dg))], axis=2)
        of_c, of_o = self._masked(of_c), self._masked(self.tanh_c * do)
        slope, kept = self._masked(o * tanh_slope(self.c[1:])), self._kept(f)
        sent, dz = self._sent(dy), np.zeros_like(self.s)
        dh, dc = np.zeros_like(self.h[0]), np.zeros_like(self.h[0])
        for t in reversed(range(len(dz))):
            dh = dh + sent[t]
            dc = dc + dh * slope[t]
            dz[t, :, :3] = dc[:, None] * of_c[t]
            dz[t, :, 3] = dh * of_o[t]
            dh = self._passed(t, dh, self._flat(dz[t]) @ self.U.T)
            dc = self._cut(t, dc * kept[t])
        self.db: Any = self._flat(dz).sum(axis=0)
        return self._finish(dz, dz)


class GRU(Recurrent):
    """h_t = (1 - z) n + z h_{t-1},   r, z = σ(x_t W + h_{t-1} U + b)
    n = tanh(x_t W_n + b_n + r q),   q = h_{t-1} U_n + c

    da_n = dh (1 - z) (1 - n²),   dq = da_n r,   da_r = da_n q r (1 - r),   da_z = dh (h_{t-1} - n) z (1 - z)
    dh_{t-1} = dh_t z + (da_r, da_z, dq) Uᵀ + dy_{t-1},   dU = Σ_t h_{t-1}ᵀ (da_r, da_z, dq),   dc = Σ_B,t dq
    dW = Σ_t x_tᵀ (da_r, da_z, da_n),   db = Σ_B,t (da_r, da_z, da_n),   dx_t = (da_r, da_z, da_n) Wᵀ

    Shapes: x (B, T, I), W (I, 3 H), U (H, 3 H), b (4 H,); y (B, H) or (B, T, H). The gates stand in the order r, z, n
    (reset, update, new), and as in PyTorch the reset gate acts after the product with U_n. (In the first version of the
    paper it acts on h before.) c is the last quarter of the layer's b, behind the three of the gates; in PyTorch it is
    the last third of bias_hh, of which the other two thirds add to those of bias_ih.

    From the last line to the first, for one step; a are the sums inside σ and tanh:

    * h_t = (1 - z) n + z h_{t-1}: dn = dh (1 - z), dz = dh (h_{t-1} - n), and h_{t-1} gets dh z.
    * n = tanh(a_n), a_n = x_t W_n + b_n + r q: da_n = dn (1 - n²), dr = da_n q, dq = da_n r.
    * r, z = σ(a) have the slope y (1 - y): da_r = dr r (1 - r), da_z = dz z (1 - z).
    * x_t meets W in a_r, a_z and a_n, but h_{t-1} meets U in a_r, a_z and q: where W has da_n, U has dq.

    Source: Cho and others, "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP 2014.

    Raises ValueError for a width or a `truncate` below 1, and for a `padding` that is not finite.
    """

    q: Array
    a: Array
    n: Array
    gates: ClassVar[int] = 3
    biases: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.0, 0.0)

    def forward(self, x: Array) -> Array:
        """x (B, T, I) -> y (B, H), or (B, T, H)."""
        a, c = self._begin(x), self.b[3 * self.hidden_features :]
        self.e: Any = np.zeros_like(a[:, :, :2])
        self.s: Any = np.zeros_like(a[:, :, :2])
        self.q, self.a, self.n = (np.zeros_like(self.h[1:]) for _ in range(3))
        for t in range(len(a)):
            u = (self.h[t] @ self.U).reshape(a.shape[1:])
            self.e[t] = exp_minus(a[t, :, :2] + u[:, :2])
            self.s[t] = 1 / (1 + self.e[t])
            r, z = self.s[t].transpose(1, 0, 2)
            self.q[t] = u[:, 2] + c
            self.a[t] = a[t, :, 2] + r * self.q[t]
            self.n[t] = np.tanh(self.a[t])
            h = self.e[t, :, 1] * z * self.n[t] + z * self.h[t]  # 1 - z = e z
            self.h[t + 1] = self._unless_padded(t, h, self.h[t])
        return self._end()

    def backward(self, dy: Array) -> Array:
        """dy, as y -> dx (B, T, I); sets dW (I, 3 H), dU (H, 3 H) and db (4 H,)."""
        (r, z), (of_r, of_z) = self.s.transpose(2, 0, 1, 3), (self.e * self.s * self.s).transpose(2, 0, 1, 3)
        of_n = self._masked(self.e[:, :, 1] * z * tanh_slope(self.a))
        of_u = np.stack([of_n * self.q * of_r, (self.h[:-1] - self.n) * of_z, of_n * r], axis=2)
        of_u, kept = self._masked(of_u), self._kept(z)
        sent, du, dh = self._sent(dy), np.zeros_like(of_u), np.zeros_like(self.h[0])
        dn = np.zeros_like(of_n)
        for t in reversed(range(len(du))):
            dh = dh + sent[t]
            du[t] = dh[:, None] * of_u[t]
            dn[t] = dh * of_n[t]
            dh = self._cut(t, dh * kept[t] + self._flat(du[t]) @ self.U.T)
        da = np.concatenate([du[:, :, :2], dn[:, :, None]], axis=2)
        self.db: Array = np.concatenate([self._flat(da).sum(axis=0), sum_of_rows(du[:, :, 2])])
        return self._finish(da, du)
