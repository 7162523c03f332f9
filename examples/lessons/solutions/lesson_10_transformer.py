# %% [markdown]
# # Lesson 10, the solution
#
# Two forks, so two sums; within each half, the layers in reverse order.

# %%
import numpy as np

from minigrad import Layer, LayerNorm, ReLU, parameter


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def flat(a):
    return a.reshape(-1, a.shape[-1])


class Attention(Layer):
    """y = softmax(Q Kᵀ / √d) V, Q = x Wq, K = x Wk, V = x Wv        x and y (B, T, d), the weights (d, d)"""

    Wq, dWq = parameter()
    Wk, dWk = parameter()
    Wv, dWv = parameter()

    def __init__(self, features):
        self.features = features
        self.Wq, self.Wk, self.Wv = np.random.default_rng(0).normal(0, features**-0.5, size=(3, features, features))

    def forward(self, x):
        self.x = x
        self.Q, self.K, self.V = x @ self.Wq, x @ self.Wk, x @ self.Wv
        self.P = softmax(self.Q @ self.K.transpose(0, 2, 1) / self.features**0.5)
        return self.P @ self.V

    def backward(self, dy):
        dP = dy @ self.V.transpose(0, 2, 1)
        dV = self.P.transpose(0, 2, 1) @ dy
        dS = self.P * (dP - (dP * self.P).sum(axis=-1, keepdims=True)) / self.features**0.5
        dQ = dS @ self.K
        dK = dS.transpose(0, 2, 1) @ self.Q
        self.dWq, self.dWk, self.dWv = (flat(self.x).T @ flat(d) for d in (dQ, dK, dV))
        return dQ @ self.Wq.T + dK @ self.Wk.T + dV @ self.Wv.T


class Places(Layer):
    """y = x W + b at every place        x (B, T, I), W (I, O), b (O,), y (B, T, O)"""

    W, dW = parameter()
    b, db = parameter(decay=False)

    def __init__(self, in_features, out_features):
        self.in_features, self.out_features = in_features, out_features
        self.W = np.random.default_rng(0).normal(0, in_features**-0.5, size=(in_features, out_features))
        self.b = np.zeros(out_features)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = flat(self.x).T @ flat(dy), flat(dy).sum(axis=0)
        return dy @ self.W.T


# %%
class Block(Layer):
    """a = x + attention(norm1(x)), y = a + narrow(relu(wide(norm2(a))))        x, a, y (B, T, d)"""

    def __init__(self, features):
        self.features = features
        self.norm1, self.attention = LayerNorm(features), Attention(features)
        self.norm2, self.wide = LayerNorm(features), Places(features, 2 * features)
        self.relu, self.narrow = ReLU(), Places(2 * features, features)
        self.layers = [self.norm1, self.attention, self.norm2, self.wide, self.relu, self.narrow]

    def forward(self, x):
        a = x + self.attention.forward(self.norm1.forward(x))
        return a + self.narrow.forward(self.relu.forward(self.wide.forward(self.norm2.forward(a))))

    def backward(self, dy):
        da = dy + self.norm2.backward(self.wide.backward(self.relu.backward(self.narrow.backward(dy))))
        return da + self.norm1.backward(self.attention.backward(da))


# %%
answer, example = Block(4), np.random.default_rng(0).normal(size=(3, 5, 4))
