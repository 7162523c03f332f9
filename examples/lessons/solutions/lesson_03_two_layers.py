# %% [markdown]
# # Lesson 3, the solution
#
# From the last box to the first; each line uses the one before it.
#
# * y = s(z2): dz2 = dy y (1 - y)
# * z2 = a1 W2 + b2: dW2 = a1ᵀ dz2, db2 = Σ_r dz2, da1 = dz2 W2ᵀ
# * a1 = s(z1): dz1 = da1 a1 (1 - a1)
# * z1 = x W1 + b1: dW1 = xᵀ dz1, db1 = Σ_r dz1, dx = dz1 W1ᵀ

# %%
import numpy as np

from minigrad import Layer, parameter
from minigrad.functions import sigmoid


# %%
class TwoLayers(Layer):
    """y = s(a1 W2 + b2), a1 = s(x W1 + b1)        x (B, I), W1 (I, H), W2 (H, O), y (B, O)"""

    traceable = True

    W1, dW1 = parameter()
    b1, db1 = parameter()
    W2, dW2 = parameter()
    b2, db2 = parameter()

    def __init__(self, in_features, hidden_features, out_features):
        self.in_features, self.hidden_features, self.out_features = in_features, hidden_features, out_features
        rng = np.random.default_rng(0)
        self.W1, self.b1 = rng.normal(size=(in_features, hidden_features)), np.zeros(hidden_features)
        self.W2, self.b2 = rng.normal(size=(hidden_features, out_features)), np.zeros(out_features)

    def forward(self, x):
        self.x = x
        self.a1 = sigmoid(x @ self.W1 + self.b1)
        self.y = sigmoid(self.a1 @ self.W2 + self.b2)
        return self.y

    def backward(self, dy):
        dz2 = dy * self.y * (1 - self.y)
        self.dW2 = self.a1.T @ dz2
        self.db2 = dz2.sum(axis=0)
        da1 = dz2 @ self.W2.T
        dz1 = da1 * self.a1 * (1 - self.a1)
        self.dW1 = self.x.T @ dz1
        self.db1 = dz1.sum(axis=0)
        return dz1 @ self.W1.T


# %%
answer, example = TwoLayers(3, 4, 2), np.random.default_rng(0).normal(size=(5, 3))
