# %% [markdown]
# # Lesson 2, the solution
#
# * ∂y_ri/∂w_i = x_ri, and w_i takes part in all rows of column i: dw_i = Σ_r dy_ri x_ri.
# * ∂y_ri/∂b_i = 1: db_i = Σ_r dy_ri.
# * ∂y_ri/∂x_ri = w_i, and x_ri takes part in one y only: dx_ri = dy_ri w_i.
#
# It is a sum, never a mean. Where an average over the rows is wanted, the *loss* averages, and its dy is smaller.

# %%
import numpy as np

from minigrad import Layer, parameter


# %%
class Line(Layer):
    """y_ri = x_ri w_i + b_i        x (B, I), w and b (I,), y (B, I)"""

    traceable = True

    w, dw = parameter()
    b, db = parameter()

    def __init__(self, features):
        self.features = features
        self.w = np.ones(features)
        self.b = np.zeros(features)

    def forward(self, x):
        self.x = x
        return x * self.w + self.b

    def backward(self, dy):
        self.dw = (dy * self.x).sum(axis=0)
        self.db = dy.sum(axis=0)
        return dy * self.w


# %%
answer, example = Line(3), np.random.default_rng(0).normal(size=(5, 3))
