# %% [markdown]
# # Lesson 8, the solution
#
# dh travels back through the steps; what each contributes to the weights is added up.

# %%
import numpy as np

from minigrad import Layer, parameter


# %%
class Recurrent(Layer):
    """y = h_T, h_t = tanh(x_t U + h_{t-1} V + b), h_0 = 0        x (B, T, I), U (I, H), V (H, H), b (H,), y (B, H)"""

    traceable = True

    U, dU = parameter()
    V, dV = parameter()
    b, db = parameter()

    def __init__(self, in_features, hidden_features):
        self.in_features, self.hidden_features = in_features, hidden_features
        rng = np.random.default_rng(0)
        self.U = rng.normal(size=(in_features, hidden_features))
        self.V = rng.normal(0, hidden_features**-0.5, size=(hidden_features, hidden_features))
        self.b = np.zeros(hidden_features)

    def forward(self, x):
        self.x = x
        self.h = [np.zeros_like(x, shape=(len(x), self.hidden_features))]
        for t in range(x.shape[1]):
            self.h.append(np.tanh(x[:, t] @ self.U + self.h[t] @ self.V + self.b))
        return self.h[-1]

    def backward(self, dy):
        dU, dV, db = np.zeros_like(self.U), np.zeros_like(self.V), np.zeros_like(self.b)
        dx, dh = np.zeros_like(self.x), dy
        for t in reversed(range(self.x.shape[1])):
            dz = dh * (1 - self.h[t + 1] ** 2)
            dU += self.x[:, t].T @ dz
            dV += self.h[t].T @ dz
            db += dz.sum(axis=0)
            dx[:, t] = dz @ self.U.T
            dh = dz @ self.V.T
        self.dU, self.dV, self.db = dU, dV, db
        return dx


# %%
answer, example = Recurrent(2, 3), np.random.default_rng(0).normal(size=(6, 5, 2))
