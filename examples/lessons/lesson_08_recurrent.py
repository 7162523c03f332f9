# %% [markdown]
# # Lesson 8: a recurrent network, unrolled
#
# A sentence is read word by word, and what has been read colours what comes. A **recurrent** layer keeps a state h, a
# few numbers, and makes the next one of it and of the next input, with the same weights at every step:
#
#     h_0 = 0        h_t = tanh(x_t U + h_{t-1} V + b)        y = h_T, the last one
#
# Written out, step after step, it is a deep chain of layers that happen to share their weights. So it is nothing that
# lessons 3 and 7 have not shown: go backward from the last step to the first, and *add up* what each step contributes
# to dU, dV and db.

# %%
import numpy as np

from minigrad import Layer, parameter
from minigrad.testing import check_layer

rng = np.random.default_rng(0)
inputs, into = rng.normal(size=(12, 2)), rng.normal(size=(2, 4))
mixing = rng.normal(size=(4, 4))
mixing /= abs(np.linalg.eigvals(mixing)).max()  # so that, many times over, it neither grows nor shrinks a state
print("how much the result depends on h, 0, 3, 6 and 9 steps before the last:")
for size in (0.5, 1.0, 2.0):
    state, states = np.zeros(4), []
    for step in inputs:
        state = np.tanh(step @ into + state @ (size * mixing))
        states.append(state)
    slopes, largest = np.ones(4), []
    for state in reversed(states):
        largest.append(abs(slopes).max())
        slopes = (slopes * (1 - state**2)) @ (size * mixing).T
    print(f"V of size {size}:", " ".join(f"{each:.0e}" for each in largest[::3]))

# %% [markdown]
# ![How much the result depends on the states of earlier steps](pictures/lesson_08.svg)
#
# *With every step back, dh is multiplied by V and by the slopes of tanh, which are at most 1. It fades, the faster
# the smaller V is, or explodes where V is large and the slopes stay near 1 (dashed: without any input). So a plain
# recurrent network forgets; LSTM and GRU were invented against it.*
#
# ## One step, backward
#
# Given dh = ∂L/∂h_t for some step t, with z = x_t U + h_{t-1} V + b:
#
#     dz = dh (1 - h_t²)
#     dU += x_tᵀ dz        dV += h_{t-1}ᵀ dz        db += dz summed over rows        dx_t = dz Uᵀ
#     dh for the step before: dz Vᵀ
#
# At the last step, dh is the dy that backward is given.
#
# ## Your turn
#
# Write `backward`: the loop over the steps, from the last to the first. `self.h[t]` is the state *before* step t, and
# `self.h[t + 1]` the one after it; `self.x[:, t]` is x_t. A gradient must be *set*, and here it is a sum over the
# steps: begin with zeros, `dU = np.zeros_like(self.U)`, and so for dV, db and dx, and assign the first three to `self`
# at the end. Try also what happens if you go back one step only: it runs, and it learns a little. Nobody would notice.


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
        raise NotImplementedError("your turn: self.dU, self.dV, self.db, and return dx")


# %%
answer, example = Recurrent(2, 3), np.random.default_rng(0).normal(size=(6, 5, 2))
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)
