# %% [markdown]
# # Lesson 3: two layers by hand
#
# One neuron draws one line. Several neurons side by side are a *layer*, and a second layer that looks at the answers
# of the first can bend, join and cut those lines. Two layers are enough for nearly every function, if the first one is
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
# once z = x W + b, or z_bo = Σ_i x_bi W_io + b_o. Now ask of each number where it takes part, as in lesson 2:
#
# * W_io takes part in z_bo for every row b, with the factor x_bi;
# * b_o takes part in z_bo for every row b, with the factor 1;
# * x_bi takes part in z_bo for every neuron o, with the factor W_io.
#
# Each sum is over what it takes part in, and the first and the last are products of tables:
#
#     dW_io = Σ_b x_bi dz_bo        dW = xᵀ dz
#     db_o  = Σ_b dz_bo             db = the sum of dz over its rows
#     dx_bi = Σ_o dz_bo W_io        dx = dz Wᵀ
#
# Shapes help to remember it: dW must have the shape of W, (I, O), and xᵀ dz is the one product that gives it.
#
# The squashing works on each number alone: s'(z) = s(z) (1 - s(z)), so dz = dy y (1 - y).

# %%
import numpy as np

from minigrad import Dense, Layer, Sequential, Sigmoid, parameter
from minigrad.functions import sigmoid
from minigrad.testing import check_layer

z, h = np.array(0.7), 1e-5
y = sigmoid(z)
print(f"slope of the sigmoid: y (1 - y) = {y * (1 - y):.9f}, nudged: {(sigmoid(z + h) - sigmoid(z - h)) / (2 * h):.9f}")

# %% [markdown]
# ## Your turn
#
# Write `backward` for all four boxes, from the last to the first. Five quantities on the way: dz2 from dy; dW2 and db2
# from dz2; da1 from dz2; dz1 from da1; dW1, db1 and dx from dz1.


# %%
class TwoLayers(Layer):
    """y = s(a1 W2 + b2), a1 = s(x W1 + b1)        x (B, I), W1 (I, H), W2 (H, O), y (B, O)"""

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
try:
    print(check_layer(answer, example))
except AssertionError as sentence:
    print(sentence)

# %% [markdown]
# ## The same with minigrad's layers
#
# `Dense` is one x W + b, `Sigmoid` one squashing, and `Sequential` runs them forward in order and backward in reverse.
# With your weights it must give your answers, and once you are right, your gradients.

# %%
model = Sequential([Dense(3, 4), Sigmoid(), Dense(4, 2), Sigmoid()], dtype=np.float64)
for layer, number in ((model[0], 1), (model[2], 2)):
    layer.W, layer.b = getattr(answer, f"W{number}"), getattr(answer, f"b{number}")
dy = np.random.default_rng(1).normal(size=(5, 2))
print("largest difference of y:", abs(model.forward(example) - answer.forward(example)).max())
try:
    dx = answer.backward(dy)
    print("largest difference of dx:", abs(model.backward(dy) - dx).max())
    print("largest difference of dW1:", abs(model[0].dW - answer.dW1).max())
except NotImplementedError:
    print("the gradients: once your backward is written")
