# %% [markdown]
# # Lesson 5: softmax and its Jacobian
#
# Which of ten digits is it? Ten sigmoids answer ten separate questions. **Softmax** answers one: it turns the ten
# scores of a row into ten probabilities that add up to 1.
#
#     y_k = exp(x_k) / Σ_j exp(x_j)
#
# All layers until now worked on one number at a time, or on sums. Here every output depends on *every* input of its
# row: if one score rises, its own probability rises, and all others must fall. So the derivative of a row is a table,
# the **Jacobian**: J_kj says how y_k changes with x_j.

# %%
import numpy as np

from minigrad import Layer
from minigrad.testing import check_layer


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))  # the largest exponent is 0: nothing overflows
    return e / e.sum(axis=-1, keepdims=True)


scores, h = np.array([2.0, 1.0, 0.0, -1.0]), 1e-5
chances = softmax(scores)
nudged = np.array([(softmax(scores + h * unit) - softmax(scores - h * unit)) / (2 * h) for unit in np.eye(4)]).T
print("y       ", chances.round(4))
print("J by nudging, ∂y_k/∂x_j in row k:\n", nudged.round(4))

# %% [markdown]
# (That `softmax` subtracts the largest score m changes nothing: exp(x_k - m) = exp(x_k) / exp(m), and exp(m) cancels.)
#
# Now by the rule for quotients. Where j is another output's score, only the denominator has it; for k's own score, the
# numerator has it, too:
#
#     j ≠ k:   ∂y_k/∂x_j = -exp(x_k) exp(x_j) / (Σ exp)²      = -y_k y_j
#     j = k:   ∂y_k/∂x_k = exp(x_k) / Σ exp - exp(x_k)² / (…)² = y_k - y_k y_k
#
# Both in one line: J_kj = y_k ([k = j] - y_j), where [k = j] is 1 if k is j, and otherwise 0. The diagonal, y (1 - y),
# looks like the sigmoid's slope, and that is the commonest mistake of all: to stop there. Everything off the diagonal
# would be missing.

# %%
print("J by the rule, off by at most", abs(np.diag(chances) - np.outer(chances, chances) - nudged).max())

# %% [markdown]
# ![The Jacobian of that row: a positive diagonal, and negative numbers everywhere else](pictures/lesson_05.svg)
#
# *The Jacobian of the row above. Its columns add up to 0: whatever a nudge gives to one probability, it takes from the
# others. With the diagonal alone, half of it is lost.*
#
# ## Backward without the table
#
# The chain rule adds up over all outputs that x_j takes part in, which are all of its row:
#
#     dx_j = Σ_k dy_k J_kj = Σ_k dy_k y_k ([k = j] - y_j) = dy_j y_j - y_j Σ_k dy_k y_k
#
# (Of the first part, only k = j is left.) One sum for each row, and no table at all.
#
# ## Your turn
#
# Write `backward`. Mind the sum: it belongs to a row, so it runs over the last axis, and `keepdims=True` keeps it
# beside its row. First try the diagonal alone, `dy * self.y * (1 - self.y)`.


# %%
class Softmax(Layer):
    """y_rk = exp(x_rk) / Σ_j exp(x_rj)        x (B, K), y (B, K); every row of y adds up to 1"""

    traceable = True

    def forward(self, x):
        self.y = softmax(x)
        return self.y

    def backward(self, dy):
        raise NotImplementedError("your turn: return dx")


# %%
answer, example = Softmax(), np.random.default_rng(0).normal(size=(5, 4))
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)
