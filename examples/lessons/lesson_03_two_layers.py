# %% [markdown]
# # Lesson 3: two layers by hand
#
# One neuron draws one line. Several neurons side by side are a *layer*, and a second layer that looks at the answers of
# the first can bend, join and cut those lines. Two layers are enough for nearly every function, if the first one is
# wide enough. Here is such a network, with sigmoids s(z) = 1 / (1 + exp(-z)) to squash:
#
#     z1 = x W1 + b1        a1 = s(z1)        z2 = a1 W2 + b2        y = s(z2)
#
# ![The network as a chain: forward to the right, backward to the left](pictures/lesson_03.svg)
#
# *Forward, each box is computed from the one before it. Backward, each d… is computed from the one after it, by the
# derivative of one single box. This is all that backpropagation is.*
#
# ## One layer, index by index
#
# Neuron o of a layer has the weights W_1o … W_Io. So W is a table with a column for each neuron, and for all rows at
# once z = x W + b, or for row r z_ro = Σ_i x_ri W_io + b_o. Now ask of each number where it takes part, as in lesson 2:
#
# * W_io takes part in z_ro for every row r, with the factor x_ri;
# * b_o takes part in z_ro for every row r, with the factor 1;
# * x_ri takes part in z_ro for every neuron o, with the factor W_io.
#
# Each sum is over what it takes part in, and the first and the last are products of tables (xᵀ is x with rows and
# columns exchanged, so that its entry in row i and column r is x_ri):
#
#     dW_io = Σ_r x_ri dz_ro        dW = xᵀ dz                 in NumPy  x.T @ dz
#     db_o  = Σ_r dz_ro             db = dz summed over rows             dz.sum(axis=0)
#     dx_ri = Σ_o dz_ro W_io        dx = dz Wᵀ                           dz @ W.T
#
# Shapes help to remember it: dW must have the shape of W, (I, O), and xᵀ dz is the one product that gives it.
#
# The squashing works on each number alone, so dz = dy s'(z). With e = exp(-z), whose slope is -e, by the rule for
# quotients:
#
#     s = 1 / (1 + e)        s' = e / (1 + e)² = s e / (1 + e) = s (1 - s)        since 1 - s = e / (1 + e)
#
# So dz = dy y (1 - y). (The slope of lesson 1's tanh is 1 - y² in the same way: tanh z is 2 s(2z) - 1.)

# %%
import numpy as np

from minigrad import Dense, Layer, Sequential, Sigmoid, parameter
from minigrad.functions import sigmoid
from minigrad.testing import check_layer

point, h = np.array(0.7), 1e-5  # an array, of one number: minigrad's functions take arrays
value = sigmoid(point)
nudged = (sigmoid(point + h) - sigmoid(point - h)) / (2 * h)
print(f"slope of the sigmoid: y (1 - y) = {value * (1 - value):.9f}, nudged: {nudged:.9f}")

# %% [markdown]
# ## Your turn
#
# Write `backward`, along the four red arrows from dy to dx: dz2 from dy; dW2, db2 and da1 from dz2; dz1 from da1; dW1,
# db1 and dx from dz1.


# %%
class TwoLayers(Layer):
    """y = s(a1 W2 + b2), a1 = s(x W1 + b1)        x (B, I), W1 (I, H), W2 (H, O), y (B, O)"""

    traceable = True

    W1, dW1 = parameter()
    b1, db1 = parameter()
    W2, dW2 = parameter()
    b2, db2 = parameter()

    def __init__(self, in_features, hidden_features, out_features):
        self.in_features, self.hidden_features, self.out_features = in_features, hidden_features, out_features
        rng = np.random.default_rng(0)
        self.W1, self.b1 = rng.normal(size=(in_features, hidden_features)), np.zeros(hidden_features)
        self.W2, self.b2 = rng.normal(size=(hidden_features, out_features)), np.zeros(out_features)

    def forward(self, x):
        self.x = x
        self.a1 = sigmoid(x @ self.W1 + self.b1)
        self.y = sigmoid(self.a1 @ self.W2 + self.b2)
        return self.y

    def backward(self, dy):
        raise NotImplementedError("your turn: dz2, dW2, db2, da1, dz1, dW1, db1, and return dx")


# %%
answer, example = TwoLayers(3, 4, 2), np.random.default_rng(0).normal(size=(5, 3))
right = False
try:
    print(check_layer(answer, example))
    right = True
except AssertionError as sentence:
    print(sentence)

# %% [markdown]
# ## The same with minigrad's layers
#
# `Dense` is one x W + b, `Sigmoid` one squashing, and `Sequential` runs them forward in order and backward in reverse.
# With your weights it must give your answers and, once you are right, your gradients. (float64 has 16 digits; a network
# of minigrad's computes with 7 unless told.)

# %%
model = Sequential([Dense(3, 4), Sigmoid(), Dense(4, 2), Sigmoid()], dtype=np.float64)
for layer, number in ((model[0], 1), (model[2], 2)):
    layer.W, layer.b = getattr(answer, f"W{number}"), getattr(answer, f"b{number}")
if right:
    slopes = np.random.default_rng(1).normal(size=(5, 2))
    print("largest difference of y:", abs(model.forward(example) - answer.forward(example)).max())
    print("largest difference of dx:", abs(model.backward(slopes) - answer.backward(slopes)).max())
    print("largest difference of dW1:", abs(model[0].dW - answer.dW1).max())
else:
    print("its answers and yours: once your backward is right")

# %% [markdown]
# ## It learns
#
# The gradient says how the error grows with each weight, so go a little against it, and again: that is the whole of
# learning. Here, "one of two inputs, but not both" (XOR), which no single neuron can: no straight line parts these
# rows. The error is L = Σ (y - t)² / 2 with the targets t, so dy = y - t.

# %%
network = TwoLayers(2, 4, 1)
rows, targets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
if right:
    for _ in range(2000):
        network.backward(network.forward(rows) - targets)
        for name, gradient in network.grads.items():
            network.params[name] -= gradient
    print("after 2000 steps:", network.forward(rows).ravel().round(2))
else:
    print("it learns once your backward is right")
