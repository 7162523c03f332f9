"""From x and t as users have them to checked examples: labels become targets, and weights count.

`Rows` is what the loop asks of rows, in memory (`data.examples`) or read block by block (`windows`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from minigrad.data.examples import Batch, Batches, Examples, as_numbers, check_fractions
from minigrad.data.labels import LabelEncoder, label_array
from minigrad.layer import Layer
from minigrad.layers.activations import Sigmoid
from minigrad.layers.combine import Concatenate
from minigrad.layers.embedding import Embedding
from minigrad.layers.shape import Columns, Flatten, Reshape
from minigrad.losses import CategoricalCrossEntropy, Loss, check_step_labels, check_weights
from minigrad.model import Model, chain_of
from minigrad.parameter import Array, walk
from minigrad.training.untrained import check_declared

log: logging.Logger = logging.getLogger("minigrad")

ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"]
Change: TypeAlias = Callable[[Array], Array]
ROWS_AT_ONCE = 65_536  # looked through together for numbers that an Embedding lacks


@dataclass(frozen=True)
class Dataset:
    """Rows as a user gives them: x and t, weights of rows and of classes."""

    x: Any
    t: Any
    sample_weight: Any = None
    class_weight: ClassWeight | None = None


class Rows(Protocol):
    """Rows with their targets and weights, checked against a model and a loss, handed out in batches."""

    def epoch(
        self, seed: Any, epoch: int, shuffle: bool, batch_size: int, change: Change | None = None
    ) -> Iterator[Batches]:
        """The batches of an epoch, in runs; `change` is given the x of each."""

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows as they stand, batch by batch."""

    def hold_out(self, share: float, seed: int) -> tuple[Rows, Rows]:
        """The rows without a share of them, and that share."""

    def check_weights(self, purpose: str) -> None:
        """Raise ValueError where the rows weigh nothing, or more than can be added up."""


def as_examples(model: Model, loss: Loss, data: Dataset) -> Examples:
    """The rows, checked against each other and against the model. Labels make `model.classes`."""
    x, t, sample_weight = data.x, data.t, data.sample_weight
    if isinstance(loss, CategoricalCrossEntropy) and isinstance(model.chain()[-1], Sigmoid):
        log.warning(
            "CategoricalCrossEntropy after a Sigmoid is least where every output is 1, whatever the class, since "
            "nothing ties a sigmoid's outputs together: end the model in Softmax(), or train with BinaryCrossEntropy()"
        )
    dtype = model.theta.dtype
    x = as_numbers("x", x, dtype)
    outputs = model.output_shape(x.shape[1:])
    if any(isinstance(layer, Embedding) for layer in walk([model])):
        for start in range(0, len(x), ROWS_AT_ONCE):
            _check_lookups(model.chain(), model.admit(x[start : start + ROWS_AT_ONCE]), start)
    labels = loss.labels and np.ndim(t) == 1
    t = label_array(t) if labels else as_numbers("t", t, dtype)
    if len(x) != len(t):
        raise ValueError(f"x has {len(x)} rows, t has {len(t)}")
    encoder = encoder_of(model, loss, LabelEncoder(t), outputs, len(t)) if labels else None
    if encoder is None:
        t = _as_targets(loss, t, outputs)
    if sample_weight is not None:
        sample_weight = as_numbers("sample_weight", sample_weight, dtype)
        if sample_weight.shape != (len(x),):
            raise ValueError(f"sample_weight has the shape {sample_weight.shape}; {len(x)} rows need ({len(x)},)")
        check_weights(sample_weight)
    weights = None if data.class_weight is None else _class_weights(data.class_weight, encoder, t)
    examples = Examples(
        x,
        t,
        sample_weight,
        dtype,
        encoder=encoder,
        outputs=math.prod(outputs),
        class_weight=weights,
        by_class=loss.labels and len(outputs) == 1,
    )
    check_declared(model)
    if encoder is not None:
        model.classes = encoder.classes
    model.boundary = loss.boundary
    return examples


def _as_targets(loss: Loss, t: Array, outputs: tuple[int, ...]) -> Array:
    """t (m, …) that are no labels of rows, as the loss takes them for such outputs: labels of steps, or numbers.

    One number for each row, or step, becomes a column. Raises ValueError for what fits neither outputs nor loss.
    """
    if loss.at_steps and len(outputs) > 1 and t.shape[1:] == outputs[:-1]:
        for start in range(0, len(t), ROWS_AT_ONCE):
            check_step_labels("t", t[start : start + ROWS_AT_ONCE], outputs[-1])
        return t
    if t.shape[1:] == outputs[:-1] and loss.target_shape(outputs)[-1] == 1:
        t = t[..., None]
    if t.shape[1:] != loss.target_shape(outputs):
        hint = "" if loss.labels else f"; if t holds class labels, train with a cross-entropy instead of {loss!r}"
        if loss.labels and t.shape[1:] == (1,):
            hint = "; if t holds one label for each row, make it one-dimensional: t[:, 0]"
        raise ValueError(
            f"t has rows of shape {t.shape[1:]}, but the model's outputs have rows of shape {outputs}{hint}"
        )
    if loss.labels:
        check_fractions("t", t, f"{loss!r} takes class labels as one-dimensional t, or a matrix of probabilities")
    return t


def _check_lookups(layers: Iterable[Layer], x: Array, start: int) -> None:
    """Raise IndexError, in the user's rows, for what an Embedding has no vector for: x starts at their row `start`.

    It follows x through layers that only rearrange it. Further on, a wrong number is found when its batch comes.
    """
    for layer in layers:
        if isinstance(layer, Embedding):
            layer.check(x, start)
        if isinstance(layer, Concatenate):
            for branch in layer.layers:
                _check_lookups(chain_of(branch), x, start)
        if not isinstance(layer, Columns | Flatten | Reshape):
            return
        x = layer.predict(x)


def encoder_of(
    model: Model, loss: Loss, encoder: LabelEncoder, outputs: tuple[int, ...], rows: int | str
) -> LabelEncoder:
    """The encoder of a model's classes, for labels that `encoder` has learned. Raises ValueError where they don't fit.

    Labels of one class are nothing to learn from, unless the model knows of others.
    """
    if model.classes is not None:
        unseen = sorted(set(encoder.classes.tolist()) - set(model.classes.tolist()), key=str)
        if unseen:
            raise ValueError(f"t holds the label {unseen[0]!r}; this model has been trained on {_shown(model.classes)}")
        encoder = LabelEncoder(model.classes)
    classes = len(encoder.classes)
    if classes == 1:
        raise ValueError(
            f"t holds one class only: all {rows} labels are {_shown(encoder.classes)}, and there is nothing to "
            f"tell apart. Add rows of another class; if these are not labels but numbers, make a column of them: "
            f"t[:, None]"
        )
    two_in_one = classes == 2 and loss.binary
    if outputs not in [(classes,), (1,)][: 1 + two_in_one]:
        raise ValueError(
            f"t has {classes} classes ({_shown(encoder.classes)}), which take {'1 or ' * two_in_one}{classes} outputs, "
            f"but the model's outputs have the shape {outputs}"
        )
    return encoder


def _shown(classes: Array) -> str:
    return ", ".join(map(repr, classes[:10].tolist())) + (", …" if len(classes) > 10 else "")


def _class_weights(class_weight: ClassWeight, encoder: LabelEncoder | None, labels: Array) -> Array:
    if encoder is None:
        raise ValueError("class_weight needs t to be labels, one for each row")
    classes = encoder.classes.tolist()
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight={class_weight!r}: give a mapping from label to weight, or 'balanced'")
        counts = np.bincount(encoder.encode(labels), minlength=len(classes))
        return len(labels) / (len(classes) * np.maximum(counts, 1))
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight={class_weight!r}: give a mapping from label to weight, or 'balanced'")
    unknown = [label for label in class_weight if label not in classes]
    if unknown:
        raise ValueError(f"class_weight names {unknown[0]!r}, which is none of the classes {_shown(encoder.classes)}")
    for label, weight in class_weight.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"class_weight of {label!r} is {weight}; weights must be finite and not negative")
    return np.array([class_weight.get(label, 1.0) for label in classes], np.float64)
