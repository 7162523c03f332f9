# %% [markdown]
# # Lesson 2: nudging, or what a derivative is
#
# Change a number a little, and look how much the result changes. The quotient of the two is the **derivative**:
#
#     derivative of f at x  ≈  (f(x + h) - f(x)) / h        for a small nudge h
#
# For f(x) = x³ at x = 2, the rule from school says 3 x² = 12: a nudge of 0.001 moves the result by about 0.012. That is
# all of it. Nobody has to believe a derivative: one can always nudge and look. This is how `check_layer` can *prove*
# what you write. It nudges very carefully, and where it can with an imaginary h: that is the "complex step" in what it
# prints, which subtracts nothing and so loses no digits.

# %%
import numpy as np

from minigrad import Layer, parameter
from minigrad.testing import check_layer


def cube(x):
    return x**3


for h in (0.1, 0.001, 0.00001):
    one_side = (cube(2 + h) - cube(2)) / h
    both_sides = (cube(2 + h) - cube(2 - h)) / (2 * h)
    print(f"h = {h:<8g} one side {one_side:.9f}   both sides {both_sides:.9f}")

# %% [markdown]
# Nudging to both sides is far better: its error shrinks with h², the other one's with h. But h must not be too small: a
# computer has some 16 digits, and the difference of two nearly equal numbers has few of them left.
#
# ![The error of both ways for nudges of all sizes, on logarithmic axes](pictures/lesson_02.svg)
#
# *The error of the derivative of x³ at 2. From the right: it shrinks as h does, until rounding takes over, and it grows
# again. Nudging to both sides with h = 0.00001 gives ten right digits.*
#
# ## Many numbers at once
#
# A layer has many inputs and many outputs; a derivative of what by what? Networks have one number at their end, the
# error L, and all questions are about it: dy means ∂L/∂y, the derivative of L by each y, while all other numbers stay
# (that is what the round ∂ says). `backward` is given dy, and answers with dx, which is ∂L/∂x, and for each parameter
# with dw, ∂L/∂w. This is the **chain rule**: how L changes with w is how L changes with each y, times how that y
# changes with w, *added up over all y that w takes part in*:
#
#     dw = Σ dy ∂y/∂w        (Σ: the sum over all y)
#
# As an example, a layer with one weight for a whole table: y = w x. Its entry in row r and column i, y_ri, changes by
# x_ri when w changes by 1, so
#
#     dw = Σ_ri dy_ri x_ri        (w takes part in every entry: the sum runs over all)
#     dx_ri = dy_ri w             (x_ri takes part in one entry only: there is nothing to add up)
#
# To see it by nudging, take any numbers for dy, and the simplest error that changes with each y by just these: the sum
# L = Σ_ri dy_ri y_ri.

# %%
rng = np.random.default_rng(0)
inputs, slopes, weight = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), 1.5


def error(weight):
    outputs = weight * inputs
    return (slopes * outputs).sum()


h = 1e-5
by_rule = (slopes * inputs).sum()
by_nudge = (error(weight + h) - error(weight - h)) / (2 * h)
print(f"dw by the rule {by_rule:.9f}, by nudging {by_nudge:.9f}")

# %% [markdown]
# ## Your turn
#
# A line for every column: column i of x is multiplied by w_i, then b_i is added. So w_i takes part in one column, in
# all of its rows. Write `backward`: set `self.dw` and `self.db`, both of the shape (I,), and return dx, (B, I). (What
# belongs to the layer is written with `self.`: `dw = …` alone is forgotten when `backward` returns.)
#
# Two mistakes are worth making once, to see what is said: take the mean over the rows instead of their sum; and forget
# to add up at all.


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
        raise NotImplementedError("your turn: self.dw = …, self.db = …, and return dx")


# %%
answer, example = Line(3), np.random.default_rng(0).normal(size=(5, 3))
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)
