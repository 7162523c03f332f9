# %% [markdown]
# # Lesson 9: attention
#
# A recurrent network squeezes all that it has read into one state. **Attention** keeps everything, and lets each place
# of a sequence choose where to look. Every place makes three vectors of its own numbers: a *query* (what am I looking
# for?), a *key* (what is there to be found here?) and a *value* (what do I tell those who look here?). For one sequence
# x, with a row for each of its T places:
#
#     Q = x Wq        K = x Wk        V = x Wv        each (T, d), of vectors of d numbers
#     S = Q Kᵀ / √d            S_ij: how well what i looks for fits what j has, (T, T)
#     P = softmax(S)           over the last axis: each place has 1 to give away
#     y = P V                  each place receives a mean of the values, by its own choice of weights
#
# The sum in Q Kᵀ has d terms of both signs, which partly cancel, so it grows like √d. Divided by that, it stays small
# enough for softmax: among huge scores the largest would get all, and then no small change of a score changes anything,
# so there is no gradient.

# %%
import numpy as np

from minigrad import Layer, parameter
from minigrad.testing import check_layer


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# Four places, each with a number to tell and a key of its own; the first asks for the second's key, and so on around.
# Each score is 8 where query and key are the same, and else 0: e⁸ is 2981 times e⁰.
numbers, keys = np.array([10.0, 20.0, 30.0, 40.0]), np.eye(4)
queries = keys[[1, 2, 3, 0]]
looks = softmax(8 * queries @ keys.T)
print("where each place looks:\n", looks.round(2))
print("what each is told:", (looks @ numbers).round(1))

# %% [markdown]
# ![Where each place of a sequence looks](pictures/lesson_09.svg)
#
# *The table P, in row i how much of its look place i gives to each place: of the example, and of a layer that has
# learned nothing, which looks everywhere a little.*
#
# ## Backward
#
# Nothing here is new, there is only more of it. Products of tables come in one form, C = A B, and lesson 3 has its
# rule: dA = dC Bᵀ and dB = Aᵀ dC. From the last line to the first:
#
#     y = P V:            dP = dy Vᵀ             dV = Pᵀ dy
#     P = softmax(S):     dS, by lesson 5, for every row of P
#     S = Q Kᵀ / √d:      dQ = dS K / √d         dK = dSᵀ Q / √d
#     Q = x Wq:           dWq = xᵀ dQ            and the same for K and V
#     x is used by all three: dx = dQ Wqᵀ + dK Wkᵀ + dV Wvᵀ
#
# (In Q Kᵀ, the second factor is Kᵀ, and gets Qᵀ dS / √d; with rows and columns exchanged, that is dK.)
#
# ## Your turn
#
# Write `backward` for B sequences at once, x (B, T, d). `@` multiplies the last two axes, and `.transpose(0, 2, 1)`
# exchanges them, as `.swapaxes(-1, -2)` does. Only the weights need care: every sequence *and* every place uses them.
# `flat(a)` makes one long table of all places, so that `flat(self.x).T @ flat(dQ)` adds up over both.


# %%
def flat(a):
    return a.reshape(-1, a.shape[-1])


class Attention(Layer):
    """y = softmax(Q Kᵀ / √d) V, Q = x Wq, K = x Wk, V = x Wv        x and y (B, T, d), the weights (d, d)"""

    traceable = True

    Wq, dWq = parameter()
    Wk, dWk = parameter()
    Wv, dWv = parameter()

    def __init__(self, features):
        self.features = features
        self.Wq, self.Wk, self.Wv = np.random.default_rng(0).normal(0, features**-0.5, size=(3, features, features))

    def forward(self, x):
        self.x = x
        self.Q, self.K, self.V = x @ self.Wq, x @ self.Wk, x @ self.Wv
        self.P = softmax(self.Q @ self.K.transpose(0, 2, 1) / self.features**0.5)
        return self.P @ self.V

    def backward(self, dy):
        raise NotImplementedError("your turn: self.dWq, self.dWk, self.dWv, and return dx")


# %%
answer, example = Attention(3), np.random.default_rng(0).normal(size=(6, 5, 3))
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)
