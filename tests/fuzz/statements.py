"""Layers of random statements: what people write between `def forward(self, x):` and `return y`, a few lines of it."""

from minigrad.layer import Layer
from minigrad.parameter import parameter, state

FORWARD = """
y = np.where(y > 0, y, 0.1 * y)
y = y.clip(-2, 2)
y = np.sort(y, axis=-1)
y = np.take_along_axis(y, np.argsort(y, axis=-1), -1)
y = y - y.mean(axis=0)
y = y / (1 + np.abs(y).max(axis=1, keepdims=True))
y = y.cumsum(axis=1) * 0.3
y = y[:, ::-1]
y = y[:, [3, 1, 0, 2]]
y = y.copy(); y[:, 1] = 0
y = y.copy(); y[:, 1:] += y[:, :-1]
y = y.copy(); y[y < -1] = -1
y = y * 1; y[..., 0] *= 2
y = np.concatenate([y[:, 2:], y[:, :2]], axis=1)
y = np.stack([y[:, 0], y[:, 1], y[:, 2], y[:, 3]], axis=1)
y = np.hstack([y[:, :2], y[:, 2:]])
y = np.roll(y, 1, axis=0)
y = np.einsum("ij,jk->ik", y, self.A)
y = y @ self.A
y = (self.A @ y.T).T
y = np.matmul(self.A, y[..., None])[..., 0]
y = np.inner(y, self.A)
y = np.tensordot(y, self.A, axes=1)
y = np.linalg.multi_dot([y, self.A, self.A])
y = y.reshape(len(y), 2, 2).transpose(0, 2, 1).reshape(len(y), 4)
y = y.reshape(len(y), 2, 2).sum(axis=1).repeat(2, axis=1)
y = np.tile(y[:, :1], (1, 4))
y = np.pad(y, ((0, 0), (1, 1)))[:, 1:-1]
y = np.diff(y, axis=1, prepend=0)
y = y**2 * 0.1
y = np.abs(y) ** 1.5
y = y**3 * 0.01
y = np.abs(y) ** 0.5
y = (1 + np.abs(y)) ** -1
y = y // 0.5 * 0.5
y = y % 1.0
y = np.floor(y * 4) / 4
y = np.rint(y)
y = np.sign(y) * np.log1p(np.abs(y))
y = np.exp(np.minimum(y, 2))
y = np.hypot(y, 1)
y = np.arctan2(y, 2)
y = np.maximum(y, y[:1])
y = np.heaviside(y, 0.5) * y
y = y * np.float32(0.3)
y = y * np.float64(0.3)
y = y * np.array(0.7)
y = y.astype(np.float64)
y = y.astype(np.float16)
y = y + (y > 0)
y = y * (np.arange(4) + 1) / 4
y = y + np.eye(4)[np.argmax(y, axis=1)]
y = y + np.median(y, axis=0)
y = y - np.percentile(y, 30, axis=0)
y = y + np.var(y, axis=1, keepdims=True)
y = (y - y.mean(1, keepdims=True)) / (y.std(1, keepdims=True) + 1e-3)
y = y + np.linalg.norm(y) * 0.01
y = y + np.add.reduce(y, axis=(0, 1)) * 0.01
y = y + np.outer(y[:, 0], self.A[0])
y = y - np.ptp(y, axis=0)
y = np.add(y, 1, out=np.empty_like(y))
y = np.interp(y, np.array([-1.0, 0, 1]), np.array([0.0, 1, 4]))
y = np.searchsorted(np.array([-1.0, 0, 1]), y) + y
y = np.kron(y[:, :2], np.ones((1, 2)))
y = np.apply_along_axis(np.cumsum, 1, y) * 0.3
y = np.average(y, axis=1, weights=self.A[0] ** 2 + 1)[:, None] + y
y = np.swapaxes(y, 0, 1).T
y = np.moveaxis(y[None], 0, -1)[..., 0]
y = np.broadcast_to(y.sum(1, keepdims=True), y.shape)
y = np.piecewise(y, [y < 0, y >= 0], [-1, 1])
y = np.array([row * 2 for row in y])
y = sum(y[:, i : i + 1] for i in range(4)) + y
y = y if len(y) > 2 else y * 2
y = np.asfortranarray(y)
y = np.full_like(y, 0.5) * y
z = np.zeros_like(y); z[:, :2] = y[:, 2:]; y = z
z = np.zeros(y.shape, y.dtype); z[:, 2:] = y[:, :2]; y = z
z = np.empty((4, len(y)), y.dtype).T; z[...] = y; y = z
z = np.zeros_like(y)[:, ::-1]; z += y; y = z
a, b = y[:, :2], y[:, 2:]; y = np.concatenate((a * b, a + b), -1)
a, b = np.split(y, 2, axis=1); y = np.concatenate((a - b, a * 0.5), -1)
y = np.logaddexp(y, 0)
y = np.ldexp(y, 1)
m, e = np.frexp(y); y = m
f, w = np.modf(y); y = f
y = y.take([0, 0, 1, 2], axis=1)
y = y.ravel().reshape(-1, 4) * 1
y = y + y.sum(dtype=np.float64) * 1e-3
y = y * y.any()
y = y + np.count_nonzero(y) * 0.01
y = y.prod(axis=1, keepdims=True) * 0.01 + y
y = np.maximum.reduce([y, -y, y * 2])
y = ~(y > 0) * y
y = ((y * 4).astype(int) % 3) * y
y = ((y * 4).astype(np.uint8) >> 1) * 0.1 + y
y = (y * 8).astype(np.int8) * 0.1
y = np.vecdot(y, self.A[0])[:, None] + y
y = np.convolve(y[:, 0], [1, 2, 1], "same")[: len(y), None] + y
y = np.gradient(y, axis=1)
y = np.unwrap(y, axis=1)
y = np.partition(y, 2, axis=1)
z = y * 1; np.put_along_axis(z, np.argmax(y, 1)[:, None], 0, 1); y = z
z = y * 1; np.add.at(z, (slice(None), [0, 0, 1]), 1.0); y = z
z = y * 1; np.fill_diagonal(z, 0); y = z
z = y * 1; np.copyto(z, y * 2); y = z
z = y * 1; np.putmask(z, y > 0, 0.5); y = z
z = y * 1; z.sort(axis=1); y = z
z = y * 1; z.fill(0.5); y = z + y
z = y * 1; z[:, 0], z[:, 1] = z[:, 1], z[:, 0] * 1; y = z
z = y * 1; z[1:] = z[:-1]; y = z
z = y * 1; z[:, ::2] = z[:, 1::2]; y = z
z = y * 1; w = z[:, 1:3]; w *= 3; y = z
z = y * 1; w = z.T; w += self.A[:, :1]; y = z
z = y * 1; z **= 2; y = z * 0.1
z = y * 1; z @= self.A.astype(z.dtype); y = z
z = y * 1; np.negative(z, out=z); y = z
z = y * 1; np.cumsum(y, axis=1, out=z); y = z * 0.3
z = y * 1; np.sum(y, axis=0, out=z[0]); y = z
y = y + self.g.sum()
y = y * self.g[::-1]
y = y + self.g.reshape(2, 2).T.reshape(-1)
y = y + np.broadcast_to(self.g, y.shape)
self.s = self.s * 0.5 + 0.5 * y.mean(axis=0); y = y - self.s
self.s += 0.1 * (y.mean(axis=0) - self.s)
self.s[...] = y[0]; y = y - self.s
self.c = self.c + 1
self.c += 1; y = y * (1 + (self.c % 4 == 0))
y = y * self.rng.random()
y = y + self.rng.normal() * 0.1
y = y * (self.rng.random(y.shape) < 0.8)
y = y + self.rng.normal(0, 0.1, y.shape).astype(y.dtype)
y = y + self.rng.uniform(size=4)
y = y * (1 + self.rng.integers(0, 2, 4))
y = y[:, self.rng.permutation(4)]
y = self.rng.permuted(y, axis=1)
y = y[self.rng.permutation(len(y))]
y = y * (np.random.random(y.shape) < 0.9)
y = y * random.random()
y = y + self.lst[0]
y = y * self.dct["k"]
self.lst.append(1); y = y * (1 + len(self.lst) % 3)
self.dct["n"] = self.dct.get("n", 0) + 1; y = y * (1 + self.dct["n"] % 2)
self.dct["k"] = y.mean(); y = y * self.dct["k"]
y = y + (self.A[0, 0] if self.A[0, 0] > 0 else 0)
y = np.maximum(y, -0.0)
y = y * 0.0
y = np.abs(np.fft.fft(y, axis=1)) * 0.3
y = y.astype(">f4")
y = y.max(axis=0) ** 2 * 0.1 + y
y = y.max() ** 2 * 0.01 + y
y = y + y.dtype.type(0.1) ** 3
""".strip().splitlines()

BACKWARD = """
return dy
return dy * self.g
return dy * np.cos(self.x)
dy = dy.copy(); dy[:, 0] = 0; return dy
return np.where(self.x > 0, dy, 0)
return dy[:, ::-1] @ self.A
self.dg = (dy * self.x).sum(axis=0); return dy * self.g
self.dg = np.einsum("bi,bi->i", dy, self.x); return dy * self.g
self.dg[...] = 0; self.dg += (dy * self.x).sum(axis=0); return dy
self.dg = 0 * self.g; np.add.at(self.dg, [0, 1, 1], dy[0, :3]); return dy
return dy.astype(self.x.dtype)
for i in range(4): self.dg[i] = (dy[:, i] * self.x[:, i]).sum()\n    return dy * self.g
self.dg = dy.sum(axis=0) * self.g.max() ** 2; return dy
""".strip().splitlines()

SOURCE = """
class Statements(Layer):
  traceable = {traceable}
  g, dg = parameter()
  s = state()
  {rng}
  def __init__(self):
    self.g, self.s, self.c = np.linspace(0.5, 1.5, 4), np.zeros(4), 0
    self.A = np.random.default_rng(3).normal(size=(4, 4)).astype(np.float32)
    self.lst, self.dct, self.rng = [2.0], {{"k": 1.5}}, np.random.default_rng(5)
  def forward(self, x):
    self.x = y = x
    {forward}
    return y
  def output_shape(self, input_shape):
    return input_shape
  def look(self):
    return {{"c": self.c, "lst": self.lst, "dct": self.dct, "rng": self.rng}}
  def backward(self, dy):
    {backward}
"""


UNDECLARED = ("self.c", "self.lst", "self.dct", "random.random(")
"""What statements mention that make a layer which must not say that it is traceable."""


def layer_of(forward, backward, declared):
    """A layer of these statements, for rows of four numbers; it says that it is traceable where that is true."""
    import random

    import numpy as np

    own = UNDECLARED if declared else (*UNDECLARED, "self.rng")
    source = SOURCE.format(
        traceable=not any(word in line for line in forward for word in own),
        rng="rng = state()" if declared else "",
        forward="\n    ".join(forward),
        backward=backward.replace("\\n", "\n"),
    )
    names = {"np": np, "random": random, "Layer": Layer, "parameter": parameter, "state": state}
    exec(source, names | {"__name__": "tests.fuzz.drawn"}, names)
    return names["Statements"]()
