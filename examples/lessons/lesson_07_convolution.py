# %% [markdown]
# # Lesson 7: a convolution
#
# A digit is a 7 wherever on the paper it stands. A Dense layer would have to learn it for every place anew, with
# weights of their own. A **convolution** has one small set of weights, the *kernel*, and looks with it at every place:
#
#     y_t = b + x_t w_0 + x_{t+1} w_1 + … + x_{t+k-1} w_{k-1}        for every t that it fits in
#
# (x_{t+1} is the entry after x_t: braces hold an index together.) It is one neuron with k inputs that is moved along.
# Here it moves along a line; `Conv2D` moves over an image.

# %%
import numpy as np

from minigrad import Layer, parameter
from minigrad.data import load_digits
from minigrad.testing import check_layer

digits, labels = load_digits()
row = digits[labels == 7][0].reshape(20, 20)[10]
edge = np.array([-1.0, 1.0])  # answers where ink (1) begins, from left to right
print("a row of pixels  ", *(f"{ink:4.1f}" for ink in row))
print("edges in this row", *(f"{row[t : t + 2] @ edge:4.1f}" for t in range(19)))

# %% [markdown]
# ![A digit, and where a kernel of two pixels finds edges in it](pictures/lesson_07.svg)
#
# *A digit, and the answers of the kernel (-1, 1) in each of its rows, from left to right: red where ink begins, blue
# where it ends. Two weights, used 380 times.*
#
# ## Weights that are shared
#
# Nothing about the derivative is new. Ask of each number where it takes part:
#
# * w_i takes part in every y_t, with the factor x_{t+i}: so dw_i is a sum over all places, and over all rows.
# * b takes part in every y_t with the factor 1.
# * x_s takes part in y_s through w_0, in y_{s-1} through w_1, … in up to k places; near the ends in fewer.
#
# The last one is easier to write the other way round: go through the weights, and for each i give every x_{t+i} its
# share dy_t w_i, adding to what is there. Sharing forward means adding backward, always.
#
# ## Your turn
#
# Write `backward` for x of the shape (B, T). `forward` shows how to do it for all places at once: the part of x that
# w_i meets is `x[:, i : i + n]`, n places wide. Start dx as `np.zeros_like(self.x)`. First try `dx[:, i : i + n] = …`
# instead of `+= …`: it is the usual mistake.


# %%
class Convolution(Layer):
    """y_rt = b + Σ_i x_r,t+i w_i        x (B, T), w (k,), b one number, y (B, n) with n = T - k + 1"""

    traceable = True

    w, dw = parameter()
    b, db = parameter()

    def __init__(self, size):
        self.size = size
        self.w, self.b = np.linspace(-1, 2, size), 0.0

    def forward(self, x):
        self.x = x
        self.n = x.shape[1] - self.size + 1
        return self.b + sum(x[:, i : i + self.n] * self.w[i] for i in range(self.size))

    def backward(self, dy):
        raise NotImplementedError("your turn: self.dw, self.db, and return dx")


# %%
answer, example = Convolution(3), np.random.default_rng(0).normal(size=(6, 7))
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)
