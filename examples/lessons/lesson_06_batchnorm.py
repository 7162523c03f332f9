# %% [markdown]
# # Lesson 6: BatchNorm, derived in full
#
# Layers learn best when the numbers that flow in are neither huge nor tiny. BatchNorm brings every column of a batch to
# mean 0 and variance 1, and then gives the network a scale gamma and a shift beta to undo it where it knows better. For
# one column, with its n rows x_1 … x_n:
#
#     μ = Σ x_i / n              the mean
#     d_i = x_i - μ              the deviations
#     v = Σ d_i² / n             the variance
#     r = 1 / √(v + eps)         one over the standard deviation; eps keeps it finite
#     u_i = d_i r                the normalised column
#     y_i = gamma u_i + beta
#
# What makes it hard: x_i reaches y by three ways. Directly, through d_i; through the mean, which is in *every* row's
# deviation; and through the variance, which is in every row's r.
#
# ![The three ways from x to y](pictures/lesson_06.svg)
#
# *From x to y. The two lower ways go through one number for the whole column: each row's x changes all rows of y.*
#
# ## Backward, box by box, from the last
#
# **y = gamma u + beta**, as in lesson 2:
#
#     dbeta = Σ dy_i        dgamma = Σ dy_i u_i        du_i = dy_i gamma
#
# **u_i = d_i r**: r takes part in every row.
#
#     dd_i = du_i r  + …        dr = Σ du_i d_i
#
# **r = (v + eps)^(-1/2)** has the slope -1/2 (v + eps)^(-3/2) = -1/2 r³:
#
#     dv = -1/2 r³ dr
#
# **v = Σ d_i² / n** has the slope 2 d_i / n. This is the second way into d_i, and the two are added:
#
#     dd_i = du_i r + dv 2 d_i / n
#          = du_i r - r³ d_i (Σ_j du_j d_j) / n
#          = r (du_i - u_i (Σ_j du_j u_j) / n)             with d = u / r, twice
#
# **d_i = x_i - μ**: x_i is in one row's deviation, μ in all, with the factor -1.
#
#     dx_i = dd_i + …        dμ = -Σ dd_j = -r Σ_j du_j        since deviations add up to 0, and so do the u_j
#
# **μ = Σ x_i / n** has the slope 1/n, and gives x_i its second part:
#
#     dx_i = dd_i + dμ / n = r (du_i - (Σ_j du_j) / n - u_i (Σ_j du_j u_j) / n)
#
# In words: from du, its mean is taken away, and then its share along u. Of course: if x is shifted by a constant, or
# stretched, y stays as it is, so there is nothing to gain in these two directions. (Stretching is free only up to eps.)

# %%
import numpy as np

from minigrad import Layer, parameter, state
from minigrad.testing import check_layer


def normalised(column):
    return (column - column.mean()) / column.std()


some = np.random.default_rng(0).normal(3, 5, size=6)
print("mean of u", f"{normalised(some).mean():.1e}", " variance of u", round(normalised(some).var(), 6))
print("shifted and stretched, u is the same:", np.allclose(normalised(some), normalised(2 * some + 7)))

# %% [markdown]
# ## Your turn
#
# Write `backward`, for all columns at once: a Σ over the rows is `.sum(axis=0)`. Either box by box, in seven or eight
# lines, or by the last formula. Then leave out one of its two subtractions, and see whether it is noticed.
#
# Whoever uses the network later may have a single row, which has no variance. So `predict` uses averages over the
# batches that training has seen, which `state()` declares: kept, saved, but not trained.


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
        raise NotImplementedError("your turn: self.dgamma, self.dbeta, and return dx")

    def predict(self, x):
        return self.gamma * (x - self.running_mean) / np.sqrt(self.running_var + self.eps) + self.beta


# %%
answer, example = BatchNorm(3), np.random.default_rng(0).normal(size=(5, 3))
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)
