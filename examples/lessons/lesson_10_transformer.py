# %% [markdown]
# # Lesson 10: a small transformer
#
# Attention carries numbers from place to place, but only adds them up. A **transformer block** puts a small network
# behind it, the same for every place, to work on what has arrived; and it writes both as *corrections* to what was
# there:
#
#     a = x + attention(norm1(x))
#     y = a + narrow(relu(wide(norm2(a))))
#
# LayerNorm is lesson 6 along each place's own numbers, instead of down a column. "x +" is called a residual connection.
#
# ![A transformer block, and where each place of a sequence looks once it is trained](pictures/lesson_10.svg)
#
# *Left: a block; what enters goes around each half, too. Right: the attention in one block of the network at the end of
# this lesson, while it sorts six digits. It has found a way of its own, over two blocks; nobody told it where to look,
# and one table alone does not explain what it does.*
#
# ## Backward through a fork
#
# x is used twice: it goes into norm1, and it is added. Whatever is used twice adds up what comes back:
#
# * da comes from y = a + …: directly, dy; and through the second half, from its last layer to its first.
# * dx comes from a = x + …: directly, da; and through the first half.
#
# The direct way has the slope 1. However many blocks are stacked, the gradient has a way back that nothing weakens,
# which is why networks of a hundred layers can be trained at all.

# %%
import numpy as np

from minigrad import (
    Adam,
    CategoricalCrossEntropy,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    MultiHeadAttention,
    PositionalEncoding,
    ReLU,
    Sequential,
    Softmax,
)
from minigrad.testing import check_layer

# %% [markdown]
# The layers are minigrad's now. You know `Dense`, `LayerNorm`, `Softmax` and attention: `MultiHeadAttention(d, heads)`
# is lesson 9's, several side by side, each on a share of the d features, and `Dense` does the same at every place of x
# (B, T, d). Three are new:
#
# * `ReLU` is max(x, 0), the simplest way not to be a straight line. Its slope is 1 where x > 0, and else 0.
# * `Embedding` has a row of d numbers for each digit, and puts that row in the digit's place. It is learned like any W.
# * `PositionalEncoding` adds to each place a vector that says where it is. Attention by itself does not know what comes
#   first: it would answer a shuffled sequence with the same answers, shuffled.

# %% [markdown]
# ## Your turn
#
# Write the block's `backward`. Each layer in it has a `backward` of its own, which sets its gradients: call them in
# reverse order, and add what comes by the direct way. First forget one of the two direct ways. (A sentence calls the
# parameters by the place of their layer in `self.layers`: `1.bo` is an array of the attention, `3.b` the bias of wide.)


# %%
class Block(Layer):
    """a = x + attention(norm1(x)), y = a + narrow(relu(wide(norm2(a))))        x, a, y (B, T, d)"""

    traceable = True

    def __init__(self, features):
        self.features = features
        self.norm1, self.attention = LayerNorm(features), MultiHeadAttention(features, 1)
        self.norm2, self.wide = LayerNorm(features), Dense(features, 2 * features)
        self.relu, self.narrow = ReLU(), Dense(2 * features, features)
        self.layers = [self.norm1, self.attention, self.norm2, self.wide, self.relu, self.narrow]

    def forward(self, x):
        a = x + self.attention.forward(self.norm1.forward(x))
        return a + self.narrow.forward(self.relu.forward(self.wide.forward(self.norm2.forward(a))))

    def backward(self, dy):
        raise NotImplementedError("your turn: da and dx, each by two ways")


# %%
answer, example = Block(4), np.random.default_rng(0).normal(size=(6, 5, 4))
right = False
try:
    print(check_layer(answer, example))
    right = True
except AssertionError as sentence:
    print(sentence)

# %% [markdown]
# ## What it can do
#
# Once your block is right, this trains two of them to *sort*: from six digits in any order, the same digits in order.
# It sees 3,000 of the million sequences, and is tried on 500 others. `fit` is the loop of lesson 3, with 32 sequences
# for each step (a *batch*), and 20 times through all of them (*epochs*). In the place of `-= gradient`, `Adam` gives
# every number a step size of its own, by how large its gradients have been. The loss is -log of the probability that
# the right digit got, as in lesson 4, added up over the six places.

# %%
if right:
    rng = np.random.default_rng(0)
    seen, drawn = rng.integers(0, 10, size=(3000, 6)), rng.integers(0, 10, size=(510, 6))
    known = {tuple(sequence) for sequence in seen}
    unseen = np.array([sequence for sequence in drawn if tuple(sequence) not in known])[:500]
    targets = np.eye(10)[np.sort(seen, axis=1)]
    stack = [Embedding(10, 16), PositionalEncoding(16), Block(16), Block(16), Dense(16, 10), Softmax()]
    model = Sequential(stack, seed=0)
    loss, optimizer = CategoricalCrossEntropy(), Adam(0.005)
    history = model.fit(seen, targets, loss=loss, optimizer=optimizer, epochs=20, batch_size=32, progress=False)
    sorted_by_it = model.predict(unseen).argmax(axis=-1)
    print(f"loss {history.loss[0]:.2f} in the first epoch, {history.loss[-1]:.3f} in the last")
    print(f"sorted rightly: {(sorted_by_it == np.sort(unseen, axis=1)).all(axis=1).mean():.1%} of unseen sequences")
    print(unseen[0], "->", sorted_by_it[0])

# %% [markdown]
# This is the whole of backpropagation: a derivative for each layer, called in reverse, added up where a number is used
# more than once. Large networks have more of it, and nothing else. The layers that minigrad brings are written like the
# ones that you have written; read `minigrad/layers/`, and write your own.
