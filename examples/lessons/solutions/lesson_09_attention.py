# %% [markdown]
# # Lesson 9, the solution
#
# From the last line of forward to the first. x is used three times, so dx is a sum of three.

# %%
import numpy as np

from minigrad import Layer, parameter


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# %%
def flat(a):
    return a.reshape(-1, a.shape[-1])


class Attention(Layer):
    """y = softmax(Q Kᵀ / √d) V, Q = x Wq, K = x Wk, V = x Wv        x and y (B, T, d), the weights (d, d)"""

    traceable = True

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


# %%
answer, example = Attention(3), np.random.default_rng(0).normal(size=(6, 5, 3))
