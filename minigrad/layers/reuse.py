"""What was trained, used again: a layer that stays as it is, and a table of vectors that is used at two places."""

from __future__ import annotations

from typing import Any

from minigrad.layer import Layer
from minigrad.layers.embedding import Embedding
from minigrad.parameter import Array, owner_of, walk


class Frozen(Layer):
    """y = f(x)      dx = f'(x) dy, and f stays as it is: Frozen(layer), also of a Sequential

    The parameters of f are state here: no part of theta, so that no optimizer, decay or penalty moves them, and saved,
    copied and cast with the model. f infers, also in training: a BatchNorm in it goes by its running statistics, which
    stay, and a Dropout drops nothing. `seed=` of a model leaves f alone, too.

    Fine-tuning: Sequential([Frozen(Sequential(copy.deepcopy(model.layers[:-2]))), Dense(64, 5), Softmax()]) trains a
    new end on what the old model has learned. Source: Yosinski, Clune, Bengio and Lipson, "How transferable are
    features in deep neural networks?", NIPS 2014.

    Raises TypeError for what is no layer; ValueError for a layer that stands in a model, which trains it, and for one
    of your own that infers in another way than it trains.
    """

    def __init__(self, layer: Layer) -> None:
        if not isinstance(layer, Layer):
            raise TypeError(f"Frozen takes a layer, not {layer!r}")
        if owner_of(layer) is not None:
            raise ValueError(f"{layer!r} stands in a model, which trains it; put copy.deepcopy(layer) into Frozen")
        self.layer = layer
        self.layers: tuple[Layer] = (layer,)
        for inner in walk(self.layers):
            inner._freeze()

    def forward(self, x: Array) -> Array:
        """x -> y, as in inference."""
        return self.layer.forward(x)

    def backward(self, dy: Array) -> Any:
        """dy -> dx; no gradient is set."""
        return self.layer.backward(dy)

    @property
    def row_axes(self) -> int:
        """As of the layer."""
        return self.layer.row_axes

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """As of the layer."""
        return self.layer.input_shape

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """As of the layer."""
        return self.layer.output_shape(input_shape)


class Tied(Layer):
    """y = h Eᵀ, E the table of an Embedding      dE += Σ_B dyᵀ h,   dh = dy E

    Shapes: h (B, …, F), E (V, F), y (B, …, V).

    It is Dense with W = Eᵀ: dh = dy Wᵀ = dy E, and dW = hᵀ dy, whose transpose is dE.

    The score of each word is how alike its vector and h are: one array at two places of a model. It is one parameter,
    stands in theta and in files once, and its gradient is the sum of both: Sequential([words := Embedding(50, 16), …,
    Tied(words), Softmax()]). Source: Press and Wolf, "Using the output embedding to improve language models", EACL
    2017.

    Raises TypeError for what is no Embedding.
    """

    def __init__(self, embedding: Embedding) -> None:
        if not isinstance(embedding, Embedding):
            raise TypeError(f"Tied takes an Embedding, not {embedding!r}")
        self.embedding = embedding
        self.features: int = embedding.features
        self.layers: tuple[Embedding] | tuple[()] = (embedding,)

    def _shared(self) -> tuple[Layer, ...]:
        """The embedding, which may stand elsewhere in the model."""
        return (self.embedding,)

    def _stand_beside(self) -> None:
        """The embedding stands elsewhere: it is counted there, and adds its own gradient to this layer's."""
        self.layers, self.embedding.tied = (), True

    def forward(self, h: Array) -> Array:
        """h (B, …, F) -> y (B, …, V)."""
        self.h: Array = h.reshape(-1, self.features)
        return (self.h @ self.embedding.W.T).reshape(*h.shape[:-1], self.embedding.vocabulary)

    def backward(self, dy: Array) -> Array:
        """dy (B, …, V) -> dh (B, …, F); sets dE (V, F), to which the embedding adds."""
        shape, dy = (*dy.shape[:-1], self.features), dy.reshape(-1, self.embedding.vocabulary)
        self.embedding.dW = dy.T @ self.h
        return (dy @ self.embedding.W).reshape(shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(F,)"""
        return (self.features,)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…, F) -> (…, V). Raises ValueError for rows of another width."""
        if input_shape[-1:] != (self.features,):
            raise ValueError(f"{self!r} takes rows of shape (…, {self.features}), not {input_shape}")
        return (*input_shape[:-1], self.embedding.vocabulary)
