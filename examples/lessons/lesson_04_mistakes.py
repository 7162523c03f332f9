# %% [markdown]
# # Lesson 4: the tutorial's mistakes
#
# A well-known tutorial builds the network of lesson 3 for handwritten digits: 400 pixels, 25 hidden neurons, one output
# for each digit. It reports 100 % accuracy. It is wrong five times, and nothing told its author. Each of the five is a
# single line, and you may have written one of them.
#
# ![The tutorial's cost by epoch, and the right one's](pictures/lesson_04.svg)
#
# *The tutorial's own costs jump about and end at 0, and it takes that for success. At 0 there is nothing left to add
# up: every term of the cost has become NaN or infinite, and was left out. The right network's cost falls slowly: both
# make one step in an epoch, with all digits at once. (In the README's comparison minigrad makes 125 of them.)*
#
# **1. A power that is none.** The weights are drawn between -r and r, with r = √6 / √(inputs + outputs). In Python:

# %%
import numpy as np

from minigrad import Layer
from minigrad.functions import sigmoid
from minigrad.testing import check_layer

print("6**1/2 =", 6**1 / 2, " but 6**0.5 =", round(6**0.5, 3))

# %% [markdown]
# **2. An update that forgets.** The gradient says in which direction to go *from where one is*: `W -= rate * dW`. The
# tutorial writes `W = rate * dW`, which throws away all that W has learned, in every step. On L = (w - 3)², where the
# best w is 3:

# %%
right = wrong = 0.0
for _ in range(30):
    right -= 0.1 * 2 * (right - 3)
    wrong = 0.1 * 2 * (wrong - 3)
print(f"after 30 steps: W -= … is at {right:.3f}, W = … at {wrong:.3f}")

# %% [markdown]
# **3. Biases that never learn.** There is no line for b. Nobody notices, since the network still learns something.
# `check_layer` does: a gradient that is never set is zero, and the derivative is not.
#
# **4. An accuracy that looks at one answer of ten.** It counts a digit as right when the output of its true class is
# above 0.5, whatever the other nine say. A network that answers 1 to everything is 100 % right:

# %%
answers, labels = np.ones((1000, 10)), np.arange(1000) % 10
print("the tutorial's accuracy:", (answers[np.arange(1000), labels] > 0.5).mean())
print("rows whose largest output is the right one:", (answers.argmax(axis=1) == labels).mean())

# %% [markdown]
# **5. A logarithm of zero.** The cost of an output p = s(z) for a target t, 0 or 1, is the *cross-entropy*:
#
#     -t log p - (1 - t) log(1 - p)
#
# Once z is beyond 37, p *is* 1 in 16 digits, and the logarithm of 1 - p is gone:

# %%
for score in (1.0, 20.0, 40.0):
    chance = sigmoid(np.array(score))
    with np.errstate(divide="ignore"):
        print(f"z = {score:<5} p = {chance:<20} cost for t = 0, from p: {-np.log(1 - chance):.9f}")

# %% [markdown]
# The true cost at z = 40 is not infinite, it is 40. The cure is not to go through p. log(1 + exp(z)) is called
# *softplus*, and with s(z) = 1 / (1 + exp(-z)) = exp(z) / (exp(z) + 1), so that 1 - s(z) = 1 / (1 + exp(z)):
#
#     -log(1 - s(z))  = log(1 + exp(z))      = softplus(z)
#     -log s(z)       = log(exp(z) + 1) - z  = softplus(z) - z
#
# so, with the weights t and 1 - t, the cost is
#
#     y = t (softplus(z) - z) + (1 - t) softplus(z) = softplus(z) - t z
#
# Where z is large, exp(z) is taken out of the sum, log(1 + exp(z)) = z + log(1 + exp(-z)), and in one line for all z,
# softplus(z) = max(z, 0) + log(1 + exp(-|z|)), where the exponential can't overflow any more. The slope of softplus is
# exp(z) / (1 + exp(z)) = s(z), so the derivative is the nicest formula of this field: dy/dz = s(z) - t, the answer
# minus the truth.
#
# ## Your turn
#
# Write both methods; the target is `self.t`. To see the tutorial's mistake found, first put its cost in, computed from
# p: `p = 1 / (1 + np.exp(-z))`, and `-(t * np.log(p) + (1 - t) * np.log(1 - p))`. Then the stable form: of arrays,
# `np.maximum(z, 0)` and `np.abs(z)` work number by number, and `np.log1p(e)` is log(1 + e) with all its digits where e
# is small. `forward` is yours here as in lesson 1: where the cell and `minigrad lesson 4` differ, believe the command.
#
# A target between 0 and 1 is allowed, too ("30 % a yes"), and the answer below is tried with one: with 0 or 1, half of
# the cost is multiplied by 0, and nobody would see a mistake there.


# %%
class Cost(Layer):
    """y = -t log s(z) - (1 - t) log(1 - s(z)) of every number z, for one target t from 0 to 1"""

    traceable = True

    def __init__(self, t):
        self.t = t

    def forward(self, z):
        raise NotImplementedError("your turn: the cost, finite for every z")

    def backward(self, dy):
        raise NotImplementedError("your turn: dz = dy (s(z) - t)")


# %%
answer, example = Cost(0.3), np.reshape([-800.0, -40, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10, 40, 400, 800], (5, 3))
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)

# %% [markdown]
# `examples/tutorial.py` runs the tutorial's whole algorithm beside minigrad's, on the same digits.
