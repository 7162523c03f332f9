"""Plain classes, pairs of functions, loss functions and torch Functions, right and wrong, as public courses write them.

The set was written blind: from the styles of CS231n, of tutorials "from scratch", of deeplearning.ai and of PyTorch's
Functions, before a line of what is to name the bugs was read. It isn't changed to suit the checker. `CASES` holds what
is right; `WRONG` and `RIGHT_TOO` are replacements in its source, (name, old, new).
"""

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.planted.mutation import defined

RNG = np.random.default_rng(3)
CASES: dict[str, "Case"] = {}


@dataclass(frozen=True)
class Case:
    """What is checked: a class at an x, or functions at their inputs, with what they are given beside."""

    kind: str  # class, pair, loss, torch
    things: tuple[Any, ...]
    inputs: tuple[Any, ...]
    given: tuple[Any, ...] = ()
    arguments: tuple[Any, ...] = ()

    @property
    def source(self) -> str:
        return "\n\n".join(_bare(inspect.getsource(thing)) for thing in self.things)

    def altered(self, name: str, old: str, new: str) -> "Case":
        """The same with a replacement in its source, in a file of its own."""
        assert self.source.count(old) == 1, (name, old, self.source.count(old))
        source, module = self.source.replace(old, new), sys.modules[self.things[0].__module__]
        names = {**vars(module), "__name__": f"{__name__}.{name}"}
        defined(source, names, self.things[0].__name__)
        things = tuple(names[thing.__name__] for thing in self.things)
        return Case(self.kind, things, self.inputs, self.given, self.arguments)


def _bare(source: str) -> str:
    """Without decorators of this file."""
    source = textwrap.dedent(source)
    starts = [source.index(word) for word in ("class ", "def ") if word in source]
    return source[min(starts) :]


def plain(*arguments: Any, x: Any) -> Callable[[type], type]:
    """A class with forward(x) and backward(dy)."""

    def enter(cls: type) -> type:
        CASES[cls.__name__] = Case("class", (cls,), (x,), arguments=arguments)
        return cls

    return enter


def pair(forward: Any, backward: Any, *inputs: Any) -> None:
    CASES[forward.__name__] = Case("pair", (forward, backward), inputs)


def loss(*inputs: Any, given: tuple[Any, ...] = ()) -> Callable[[Any], Any]:
    def enter(function: Any) -> Any:
        CASES[function.__name__] = Case("loss", (function,), inputs, given)
        return function

    return enter


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


# In the style of CS231n: pairs with a cache


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


pair(affine_forward, affine_backward, normal(4, 2, 3), normal(6, 5), normal(5))


def relu_forward(x):
    out = np.maximum(0, x)
    cache = x
    return out, cache


def relu_backward(dout, cache):
    x = cache
    dx = dout * (x > 0)
    return dx


pair(relu_forward, relu_backward, normal(4, 5))


def leaky_forward(x, alpha=0.1):
    out = np.where(x > 0, x, alpha * x)
    cache = (x, alpha)
    return out, cache


def leaky_backward(dout, cache):
    x, alpha = cache
    dx = np.where(x > 0, dout, alpha * dout)
    return dx


pair(leaky_forward, leaky_backward, normal(4, 5))


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    mean = x.mean(axis=0)
    var = x.var(axis=0)
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    out = gamma * x_hat + beta
    cache = (x_hat, std, gamma)
    return out, cache


def batchnorm_backward(dout, cache):
    x_hat, std, gamma = cache
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * x_hat).sum(axis=0)
    dx_hat = dout * gamma
    dx = (N * dx_hat - dx_hat.sum(axis=0) - x_hat * (dx_hat * x_hat).sum(axis=0)) / (N * std)
    return dx, dgamma, dbeta


pair(batchnorm_forward, batchnorm_backward, normal(6, 4), normal(4), normal(4))


def layernorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=1, keepdims=True)
    xc = x - mu
    ivar = 1 / np.sqrt((xc**2).mean(axis=1, keepdims=True) + eps)
    xn = xc * ivar
    return xn * gamma + beta, (xn, ivar, gamma)


def layernorm_backward(dout, cache):
    xn, ivar, gamma = cache
    dgamma = np.sum(dout * xn, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxn = dout * gamma
    m1 = dxn.mean(axis=1, keepdims=True)
    m2 = (dxn * xn).mean(axis=1, keepdims=True)
    dx = ivar * (dxn - m1 - xn * m2)
    return dx, dgamma, dbeta


pair(layernorm_forward, layernorm_backward, normal(5, 4), normal(4), normal(4))


def conv_forward_naive(x, w, b, stride=1, pad=1):
    N, C, H, W = x.shape
    F, C, HH, WW = w.shape
    H_out = 1 + (H + 2 * pad - HH) // stride
    W_out = 1 + (W + 2 * pad - WW) // stride
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    window = xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    cache = (x, w, b, stride, pad)
    return out, cache


def conv_backward_naive(dout, cache):
    x, w, b, stride, pad = cache
    N, C, H, W = x.shape
    F, C, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp = np.zeros_like(xp)
    dw = np.zeros_like(w)
    db = dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    window = xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                    dw[f] += dout[n, f, i, j] * window
                    dxp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] += dout[n, f, i, j] * w[f]
    dx = dxp[:, :, pad : pad + H, pad : pad + W]
    return dx, dw, db


pair(conv_forward_naive, conv_backward_naive, normal(2, 2, 4, 3), normal(2, 2, 3, 3), normal(2))


def max_pool_forward(x, size=2):
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // size, W // size))
    for i in range(H // size):
        for j in range(W // size):
            out[:, :, i, j] = x[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size].max(axis=(2, 3))
    return out, (x, size)


def max_pool_backward(dout, cache):
    x, size = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = x[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
            mask = window == window.max(axis=(2, 3), keepdims=True)
            dx[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size] = mask * dout[:, :, i, j][:, :, None, None]
    return dx


pair(max_pool_forward, max_pool_backward, normal(2, 2, 4, 6))


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    cache = (x, prev_h, Wx, Wh, next_h)
    return next_h, cache


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dz = dnext_h * (1 - next_h**2)
    dx = dz.dot(Wx.T)
    dprev_h = dz.dot(Wh.T)
    dWx = x.T.dot(dz)
    dWh = prev_h.T.dot(dz)
    db = dz.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


pair(rnn_step_forward, rnn_step_backward, normal(3, 4), normal(3, 5), normal(4, 5), normal(5, 5), normal(5))


@loss(normal(5, 3), given=(np.array([0, 2, 1, 1, 0]),))
def softmax_loss(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    probs = np.exp(shifted)
    probs /= probs.sum(axis=1, keepdims=True)
    N = x.shape[0]
    loss = -np.log(probs[np.arange(N), y]).sum() / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


@loss(normal(5, 4), given=(np.array([0, 2, 1, 3, 0]),))
def svm_loss(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    num_pos = np.sum(margins > 0, axis=1)
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= num_pos
    dx /= N
    return loss, dx


# In the style of deeplearning.ai: examples in columns


def linear_forward(A_prev, W, b):
    Z = np.dot(W, A_prev) + b
    cache = (A_prev, W, b)
    return Z, cache


def linear_backward(dZ, cache):
    A_prev, W, b = cache
    dW = np.dot(dZ, A_prev.T)
    db = np.sum(dZ, axis=1, keepdims=True)
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db


pair(linear_forward, linear_backward, normal(4, 6), normal(3, 4), normal(3, 1))


def sigmoid(Z):
    A = 1 / (1 + np.exp(-Z))
    cache = Z
    return A, cache


def sigmoid_backward(dA, cache):
    Z = cache
    s = 1 / (1 + np.exp(-Z))
    dZ = dA * s * (1 - s)
    return dZ


pair(sigmoid, sigmoid_backward, normal(3, 5))


def tanh_forward(Z):
    return np.tanh(Z)


def tanh_backward(dA, Z):
    A = np.tanh(Z)
    return dA * (1 - A**2)


pair(tanh_forward, tanh_backward, normal(3, 5))


@loss(1 / (1 + np.exp(-normal(1, 6))), given=(np.array([[1, 0, 0, 1, 1, 0]]),))
def compute_cost(AL, Y):
    m = Y.shape[1]
    cost = -np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL)) / m
    dAL = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL)) / m
    return cost, dAL


@loss(normal(4, 1), 0.3, given=(normal(4, 7), np.array([[1, 0, 0, 1, 1, 0, 1]])))
def propagate(w, b, X, Y):
    m = X.shape[1]
    A = 1 / (1 + np.exp(-(np.dot(w.T, X) + b)))
    cost = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    dZ = A - Y
    dw = np.dot(X, dZ.T) / m
    db = np.sum(dZ) / m
    return cost, (dw, db)


# In the style of tutorials "from scratch": classes of their own


@plain(3, 4, x=normal(5, 3))
class Linear:
    def __init__(self, n_in, n_out):
        rng = np.random.RandomState(0)
        self.W = rng.randn(n_in, n_out) * np.sqrt(2 / n_in)
        self.b = np.zeros(n_out)
        self.dW = None
        self.db = None

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dout):
        self.dW = self.X.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


@plain(3, 4, x=normal(5, 3))
class DenseLayer:
    def __init__(self, n_inputs, n_neurons):
        self.weights = 0.5 * np.random.RandomState(1).randn(n_inputs, n_neurons)
        self.biases = np.zeros((1, n_neurons))

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases
        return self.output

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        self.dinputs = np.dot(dvalues, self.weights.T)
        return self.dinputs


@plain(x=normal(5, 3))
class ActivationSoftmax:
    def forward(self, inputs):
        exp_values = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = exp_values / np.sum(exp_values, axis=1, keepdims=True)
        return self.output

    def backward(self, dvalues):
        dinputs = np.empty_like(dvalues)
        for index, (single_output, single_dvalues) in enumerate(zip(self.output, dvalues)):
            single_output = single_output.reshape(-1, 1)
            jacobian = np.diagflat(single_output) - np.dot(single_output, single_output.T)
            dinputs[index] = np.dot(jacobian, single_dvalues)
        return dinputs


@plain(x=normal(4, 5))
class ActivationReLU:
    def forward(self, inputs, training=True):
        self.inputs = inputs
        return np.maximum(0, inputs)

    def backward(self, dvalues):
        dinputs = dvalues.copy()
        dinputs[self.inputs <= 0] = 0
        return dinputs


@plain(4, 3, x=normal(4, 1))
class ColumnDense:
    def __init__(self, input_size, output_size):
        self.weights = np.random.RandomState(2).randn(output_size, input_size)
        self.bias = np.random.RandomState(3).randn(output_size, 1)

    def forward(self, input):
        self.input = input
        return np.dot(self.weights, self.input) + self.bias

    def backward(self, output_gradient, learning_rate):
        weights_gradient = np.dot(output_gradient, self.input.T)
        input_gradient = np.dot(self.weights.T, output_gradient)
        self.weights -= learning_rate * weights_gradient
        self.bias -= learning_rate * output_gradient
        return input_gradient


@plain(3, 4, x=normal(5, 3))
class FullyConnected:
    def __init__(self, n_in, n_out):
        rng = np.random.RandomState(4)
        self.params = {"W": rng.randn(n_in, n_out), "b": rng.randn(n_out)}
        self.grads = {"W": np.zeros((n_in, n_out)), "b": np.zeros(n_out)}

    def forward(self, x):
        self.x = x
        return np.matmul(x, self.params["W"]) + self.params["b"]

    def backward(self, grad):
        self.grads["W"] = np.matmul(self.x.T, grad)
        self.grads["b"] = np.sum(grad, axis=0)
        return np.matmul(grad, self.params["W"].T)


@plain(3, 4, x=normal(5, 3))
class Affine:
    def __init__(self, n_in, n_out):
        rng = np.random.RandomState(5)
        self.params = [rng.randn(n_in, n_out), rng.randn(n_out)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


class Param:
    def __init__(self, value):
        self.data = value
        self.grad = np.zeros_like(value)


@plain(4, x=normal(5, 4))
class ScaleShift:
    def __init__(self, size):
        self.gamma = Param(np.linspace(0.5, 1.5, size))
        self.beta = Param(np.zeros(size))

    def forward(self, x):
        self.x = x
        return self.gamma.data * x + self.beta.data

    def backward(self, dy):
        self.gamma.grad = (dy * self.x).sum(axis=0)
        self.beta.grad = dy.sum(axis=0)
        return dy * self.gamma.data


@plain(3, 4, x=normal(2, 5, 3))
class VanillaRNN:
    def __init__(self, n_in, n_hidden):
        rng = np.random.RandomState(6)
        self.Wxh = rng.randn(n_in, n_hidden) * 0.5
        self.Whh = rng.randn(n_hidden, n_hidden) * 0.5
        self.bh = np.zeros(n_hidden)

    def forward(self, x):
        n, steps, _ = x.shape
        self.x = x
        self.hs = np.zeros((n, steps + 1, len(self.bh)))
        for t in range(steps):
            self.hs[:, t + 1] = np.tanh(x[:, t] @ self.Wxh + self.hs[:, t] @ self.Whh + self.bh)
        return self.hs[:, 1:].copy()

    def backward(self, dhs):
        self.dWxh = np.zeros_like(self.Wxh)
        self.dWhh = np.zeros_like(self.Whh)
        self.dbh = np.zeros_like(self.bh)
        dx = np.zeros_like(self.x)
        dh_next = np.zeros_like(dhs[:, 0])
        for t in reversed(range(self.x.shape[1])):
            dh = dhs[:, t] + dh_next
            draw = dh * (1 - self.hs[:, t + 1] ** 2)
            self.dbh += draw.sum(axis=0)
            self.dWxh += self.x[:, t].T @ draw
            self.dWhh += self.hs[:, t].T @ draw
            dx[:, t] = draw @ self.Wxh.T
            dh_next = draw @ self.Whh.T
        return dx


@plain(3, 5, 2, x=normal(4, 3))
class TwoLayerNet:
    def __init__(self, n_in, n_hidden, n_out):
        rng = np.random.RandomState(7)
        self.W1, self.b1 = rng.randn(n_in, n_hidden), rng.randn(n_hidden)
        self.W2, self.b2 = rng.randn(n_hidden, n_out), rng.randn(n_out)

    def forward(self, X):
        self.X = X
        self.Z1 = X.dot(self.W1) + self.b1
        self.A1 = np.maximum(self.Z1, 0)
        return self.A1.dot(self.W2) + self.b2

    def backward(self, dZ2):
        self.grad_W2 = self.A1.T.dot(dZ2)
        self.grad_b2 = dZ2.sum(axis=0)
        dA1 = dZ2.dot(self.W2.T)
        dZ1 = dA1 * (self.Z1 > 0)
        self.grad_W1 = self.X.T.dot(dZ1)
        self.grad_b1 = dZ1.sum(axis=0)
        return dZ1.dot(self.W1.T)


@plain(4, x=normal(2, 3, 4))
class SelfAttention:
    def __init__(self, d):
        rng = np.random.RandomState(8)
        self.Wq, self.Wk, self.Wv = (rng.randn(d, d) / np.sqrt(d) for _ in range(3))

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = x @ self.Wq, x @ self.Wk, x @ self.Wv
        scores = self.q @ self.k.transpose(0, 2, 1) / np.sqrt(x.shape[-1])
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        self.a = e / e.sum(axis=-1, keepdims=True)
        return self.a @ self.v

    def backward(self, dout):
        da = dout @ self.v.transpose(0, 2, 1)
        dv = self.a.transpose(0, 2, 1) @ dout
        ds = self.a * (da - (da * self.a).sum(axis=-1, keepdims=True)) / np.sqrt(self.x.shape[-1])
        dq = ds @ self.k
        dk = ds.transpose(0, 2, 1) @ self.q
        self.Wq_grad = np.einsum("bti,btj->ij", self.x, dq)
        self.Wk_grad = np.einsum("bti,btj->ij", self.x, dk)
        self.Wv_grad = np.einsum("bti,btj->ij", self.x, dv)
        return dq @ self.Wq.T + dk @ self.Wk.T + dv @ self.Wv.T


@loss(normal(5, 2), given=(normal(5, 2),))
def mse(y_pred, y_true):
    diff = y_pred - y_true
    return np.mean(diff**2), 2 * diff / diff.size


@loss(normal(5, 2), given=(normal(5, 2),))
def huber(y_pred, y_true, delta=0.7):
    e = y_pred - y_true
    small = np.abs(e) <= delta
    value = np.where(small, 0.5 * e**2, delta * (np.abs(e) - 0.5 * delta)).sum()
    return value, np.where(small, e, delta * np.sign(e))


WRONG = (  # the case, old, new
    ("affine_forward", "np.sum(dout, axis=0)", "np.mean(dout, axis=0)"),
    ("affine_forward", "dout.dot(w.T).reshape(x.shape)", "dout.dot(w.T)"),
    ("affine_forward", "x.reshape(x.shape[0], -1).T.dot(dout)", "x.reshape(x.shape[0], -1).T.dot(dout) / x.shape[0]"),
    ("relu_forward", "dx = dout * (x > 0)", "dx = dout * (dout > 0)"),
    ("relu_forward", "dx = dout * (x > 0)", "dx = dout * x"),
    ("leaky_forward", "alpha * dout)", "alpha)"),
    ("leaky_forward", "np.where(x > 0, dout", "np.where(x < 0, dout"),
    ("batchnorm_forward", "dx_hat = dout * gamma", "dx_hat = dout"),
    ("batchnorm_forward", " - x_hat * (dx_hat * x_hat).sum(axis=0)", ""),
    ("batchnorm_forward", "(N * dx_hat - dx_hat.sum(axis=0)", "(N * dx_hat - dx_hat.mean(axis=0)"),
    ("layernorm_forward", "dgamma = np.sum(dout * xn, axis=0)", "dgamma = np.sum(dout * xn, axis=1)"),
    ("layernorm_forward", "(dxn * xn).mean(axis=1", "(dxn * xn).mean(axis=0"),
    ("conv_forward_naive", "dw[f] += dout", "dw[f] = dout"),
    ("conv_forward_naive", "dout.sum(axis=(0, 2, 3))", "dout.sum(axis=(0, 1, 2))[: w.shape[0]]"),
    ("conv_forward_naive", "dx = dxp[:, :, pad : pad + H, pad : pad + W]", "dx = dxp[:, :, :H, :W]"),
    ("max_pool_forward", "mask * dout[:, :, i, j][:, :, None, None]", "mask * dout.mean()"),
    ("rnn_step_forward", "(1 - next_h**2)", "(1 - next_h)"),
    ("rnn_step_forward", "dWh = prev_h.T.dot(dz)", "dWh = next_h.T.dot(dz)"),
    ("rnn_step_forward", "dprev_h = dz.dot(Wh.T)", "dprev_h = dz.dot(Wh)"),
    ("softmax_loss", "    dx /= N\n", ""),
    ("softmax_loss", "dx[np.arange(N), y] -= 1", "dx[:, y] -= 1"),
    ("svm_loss", "dx[np.arange(N), y] -= num_pos", "dx[np.arange(N), y] = 0"),
    ("linear_forward", "np.sum(dZ, axis=1, keepdims=True)", "np.sum(dZ, axis=0, keepdims=True)[:, :3].T"),
    ("linear_forward", "np.dot(dZ, A_prev.T)", "np.dot(dZ, A_prev.T) / A_prev.shape[1]"),
    ("sigmoid", "dZ = dA * s * (1 - s)", "dZ = dA * Z * (1 - Z)"),
    ("tanh_forward", "dA * (1 - A**2)", "dA * (1 - Z**2)"),
    ("compute_cost", "np.divide(Y, AL) - np.divide", "np.divide(Y, AL) + np.divide"),
    ("propagate", "dw = np.dot(X, dZ.T) / m", "dw = np.dot(X, dZ.T)"),
    ("Linear", "self.db = dout.sum(axis=0)", "self.db = dout.sum()"),
    ("Linear", "return dout @ self.W.T", "return dout"),
    ("Linear", "self.dW = self.X.T @ dout", "self.dW = self.X.T @ dout + 0.01 * self.W"),
    ("DenseLayer", "np.dot(self.inputs.T, dvalues)", "np.dot(self.output.T, dvalues).T[: len(self.weights)].copy()"),
    ("ActivationSoftmax", "np.diagflat(single_output) - np.dot", "np.diagflat(single_output) + np.dot"),
    ("ActivationReLU", "self.inputs <= 0", "dinputs <= 0"),
    ("ColumnDense", "np.dot(self.weights.T, output_gradient)", "np.dot(self.weights.T, output_gradient) * self.input"),
    ("FullyConnected", 'self.grads["W"] = np', 'self.grads["W"] += np'),
    ("FullyConnected", "np.sum(grad, axis=0)", "np.sum(grad, axis=0) / len(grad)"),
    ("Affine", "dW = np.dot(self.x.T, dout)", "dW = np.dot(self.x.T, dout) * 2"),
    ("ScaleShift", "(dy * self.x).sum(axis=0)", "dy.sum(axis=0)"),
    ("VanillaRNN", "dh = dhs[:, t] + dh_next", "dh = dhs[:, t]"),
    ("VanillaRNN", "self.dWhh += self.hs[:, t].T", "self.dWhh += self.hs[:, t + 1].T"),
    ("TwoLayerNet", "dZ1 = dA1 * (self.Z1 > 0)", "dZ1 = dA1"),
    ("TwoLayerNet", "self.grad_W2 = self.A1.T", "self.grad_W2 = self.Z1.T"),
    ("SelfAttention", " / np.sqrt(self.x.shape[-1])\n", "\n"),
    ("SelfAttention", " + dk @ self.Wk.T", ""),
    ("mse", "2 * diff / diff.size", "2 * diff / len(diff)"),
    ("huber", "delta * np.sign(e))", "np.sign(e))"),
    ("MyReLU", "grad_input[x < 0] = 0", "grad_input[x > 0] = 0"),
    ("LinearFunction", "grad_output.t().mm(input)", "grad_output.t().mm(input) / len(input)"),
    ("Exp", "return grad_output * result", "return grad_output * result.exp()"),
)

RIGHT_TOO = (
    ("affine_forward", "x.reshape(x.shape[0], -1).T.dot(dout)", "np.tensordot(x, dout, axes=(0, 0)).reshape(w.shape)"),
    ("affine_forward", "np.sum(dout, axis=0)", "np.ones(len(dout)).dot(dout)"),
    ("relu_forward", "dx = dout * (x > 0)", "dx = np.array(dout)\n    dx[x <= 0] = 0"),
    ("leaky_forward", "np.where(x > 0, dout, alpha * dout)", "dout * np.where(x > 0, 1, alpha)"),
    ("batchnorm_forward", "(N * dx_hat - dx_hat.sum(axis=0)", "(N * dx_hat - N * dx_hat.mean(axis=0)"),
    ("layernorm_forward", "dx = ivar * (dxn - m1 - xn * m2)", "dx = (dxn - (m1 + xn * m2)) * ivar"),
    ("rnn_step_forward", "(1 - next_h**2)", "(1 - next_h) * (1 + next_h)"),
    ("softmax_loss", "    dx /= N\n", "    dx = dx * (1.0 / N)\n"),
    ("linear_forward", "np.dot(W.T, dZ)", "(dZ.T @ W).T"),
    ("sigmoid", "dZ = dA * s * (1 - s)", "dZ = dA * (s - s * s)"),
    ("compute_cost", "-(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL)) / m", "(AL - Y) / (AL * (1 - AL)) / m"),
    ("Linear", "dout.sum(axis=0)", 'np.einsum("ij->j", dout)'),
    ("FullyConnected", 'self.grads["b"] = np.sum(grad, axis=0)', 'self.grads["b"][:] = np.sum(grad, axis=0)'),
    ("VanillaRNN", "(1 - self.hs[:, t + 1] ** 2)", "(1 - np.square(self.hs[:, t + 1]))"),
    ("TwoLayerNet", "dA1 * (self.Z1 > 0)", "np.where(self.Z1 > 0, dA1, 0)"),
    ("mse", "2 * diff / diff.size", "diff / (0.5 * diff.size)"),
)


def torch_cases() -> dict[str, Case]:
    """PyTorch's Functions, where it is installed."""
    try:
        import torch

        from tests.planted import plain_torch
    except ImportError:
        return {}
    tensor = lambda *shape: torch.from_numpy(np.random.default_rng(sum(shape)).normal(size=shape))  # noqa: E731
    return {
        "MyReLU": Case("torch", (plain_torch.MyReLU,), (tensor(4, 5),)),
        "LinearFunction": Case("torch", (plain_torch.LinearFunction,), (tensor(4, 3), tensor(2, 3), tensor(2))),
        "Exp": Case("torch", (plain_torch.Exp,), (tensor(3, 4),)),
    }


def everything() -> list[tuple[str, Case, str]]:
    """(name, case, the line that is wrong, empty where nothing is), all of the set."""
    cases = CASES | torch_cases()
    found = [(name, case, "") for name, case in cases.items()]
    for kind, table in (("wrong", WRONG), ("also", RIGHT_TOO)):
        for number, (of, old, new) in enumerate(table, 1):
            if of in cases:
                case = cases[of].altered(f"{of}_{kind}{number}", old, new)
                found.append((f"{of}: {old} -> {new}", case, (new.strip() or old.strip()) if kind == "wrong" else ""))
    return found
