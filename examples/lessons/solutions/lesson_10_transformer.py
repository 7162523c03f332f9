# %% [markdown]
# # Lesson 10, the solution
#
# Two forks, so two sums; within each half, the layers in reverse order.

# %%
import numpy as np

from minigrad import Dense, Layer, LayerNorm, MultiHeadAttention, ReLU


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
        da = dy + self.norm2.backward(self.wide.backward(self.relu.backward(self.narrow.backward(dy))))
        return da + self.norm1.backward(self.attention.backward(da))


# %%
answer, example = Block(4), np.random.default_rng(0).normal(size=(6, 5, 4))
