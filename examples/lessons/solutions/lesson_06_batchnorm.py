# %% [markdown]
# # Lesson 6, the solution
#
# Box by box, with the names of the page. The last formula of the page says the same in one line:
#
#     return self.r * (du - du.sum(axis=0) / self.n - self.u * (du * self.u).sum(axis=0) / self.n)

# %%
import numpy as np

from minigrad import Layer, parameter, state


# %%
class BatchNorm(Layer):
    """y = gamma u + beta, u = (x - μ) / √(v + eps), for every column        x, u, y (B, I), the rest (I,)"""

    traceable = True

    gamma, dgamma = parameter()
    beta, dbeta = parameter()
    running_mean, running_var = state(), state()

    def __init__(self, features, eps=1e-5):
        self.features, self.eps = features, eps
        self.gamma, self.beta = np.ones(features), np.zeros(features)
        self.running_mean, self.running_var = np.zeros(features), np.ones(features)

    def forward(self, x):
        if len(x) < 2:
            raise ValueError("BatchNorm can't train on fewer than two rows, of which there is no variance")
        self.n = len(x)
        mean = x.sum(axis=0) / self.n
        self.d = x - mean
        v = (self.d**2).sum(axis=0) / self.n
        self.r = 1 / np.sqrt(v + self.eps)
        self.u = self.d * self.r
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        self.running_var = 0.9 * self.running_var + 0.1 * v
        return self.gamma * self.u + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.u).sum(axis=0), dy.sum(axis=0)
        du = dy * self.gamma
        dr = (du * self.d).sum(axis=0)
        dv = -0.5 * self.r**3 * dr
        dd = du * self.r + dv * 2 * self.d / self.n
        dmean = -dd.sum(axis=0)
        return dd + dmean / self.n

    def predict(self, x):
        return self.gamma * (x - self.running_mean) / np.sqrt(self.running_var + self.eps) + self.beta


# %%
answer, example = BatchNorm(3), np.random.default_rng(0).normal(size=(5, 3))
