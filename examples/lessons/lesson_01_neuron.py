# %% [markdown]
# # Lesson 1: a neuron
#
# A neuron looks at a few numbers and answers with one. It multiplies each input by a **weight** of its own, adds the
# products and a **bias**, and squashes the sum, so that the answer stays between -1 and 1:
#
#     z = x_1 w_1 + x_2 w_2 + … + b        y = tanh(z)
#
# (x_1 is the first input, w_1 its weight.) tanh is a curve that does the squashing: near 0 it is almost z itself, from
# 3 on almost 1, and below -3 almost -1.
#
# A large weight says "this input matters", a negative one "this input speaks against it"; the bias says how much it
# takes to convince the neuron. All that such a neuron knows is in its weights and its bias. *Learning* is: changing
# them until the answers are right. The ten lessons are about one question: which change makes an answer better?
#
# ![Where the neuron of this lesson answers yes, and where no](pictures/lesson_01.svg)
#
# *The answer of a neuron with the weights 2 and 2 and the bias -3, for all inputs between 0 and 1: it says yes (red)
# only where both inputs are large. Where z = 0 it changes its mind: with two inputs, that is a straight line.*

# %%
import numpy as np

from minigrad import Layer, parameter
from minigrad.testing import check_layer

# %% [markdown]
# Here is that neuron by hand. It has learned nothing: its three numbers are chosen so that it says yes (more than 0)
# only if both inputs are 1.

# %%
weights, bias = np.array([2.0, 2.0]), -3.0
for first, second in ([0, 0], [0, 1], [1, 0], [1, 1]):
    added = first * weights[0] + second * weights[1] + bias
    print(first, second, "z =", added, " y =", round(np.tanh(added), 3))

# %% [markdown]
# ## Many rows at once
#
# Data comes in rows: a table x of the shape (B, I) has B rows of I inputs. Then `x @ w` adds up the products of every
# row at once, and gives B sums.

# %%
table = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
print(np.tanh(table @ weights + bias).round(3))

# %% [markdown]
# ## A layer
#
# minigrad calls a thing that maps rows to rows a *layer*. It has two methods, which are enough for five lessons (the
# sixth adds one, and the tenth puts layers into a layer):
#
# * `forward(x)` computes y and keeps on `self` whatever `backward` will need.
# * `backward(dy)` is told how much the final error changes with each y, and says how much it changes with each
#   parameter and with each x. Lessons 2 and 3 say where that comes from; here it is written for you.
#
# `w, dw = parameter()` declares a parameter and its gradient. `traceable = True` promises that the layer depends on
# nothing but its arguments and parameters, so that training may compile it.
#
# ## Your turn
#
# Write `forward`: put the formula in the place of the line that raises. Keep x and y on `self`: `backward` uses both.
# Then run the cell below it: of what it prints, only the first line matters yet. `check_layer` compares the given
# `backward` with what your `forward` really does, so it notices if you leave something out. Try that, too: forget the
# bias, and read what it says. It takes `forward` for what you mean, so it proposes another `backward`, although here
# `backward` is right. The command at the end of this page knows the lesson, and looks at `forward` first: where the two
# say different things, believe the command.


# %%
class Neuron(Layer):
    """y = tanh(x w + b)        x (B, I), w (I,), b one number, y (B,)"""

    traceable = True

    w, dw = parameter()
    b, db = parameter()

    def __init__(self, in_features):
        self.in_features = in_features
        self.w = np.full(in_features, 0.5)
        self.b = 0.0

    def forward(self, x):
        raise NotImplementedError("your turn: y = tanh(x w + b), and keep x and y")

    def backward(self, dy):
        dz = dy * (1 - self.y**2)
        self.dw = self.x.T @ dz
        self.db = dz.sum()
        return np.outer(dz, self.w)


# %%
answer, example = Neuron(3), np.random.default_rng(0).normal(size=(5, 3))
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)

# %% [markdown]
# In a terminal, `minigrad lesson 1 mine.py` grades it, if `mine.py` (or `mine.ipynb`) is the name of this file.
# `minigrad lesson 2 --out mine2.py` goes on.
