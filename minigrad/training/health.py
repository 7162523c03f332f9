"""How a network is, on some rows: what each layer gives, what reaches it of the gradient, and what is wrong, in words.

    print(model.health(x, t, BinaryCrossEntropy(), optimizer=SGD(0.5)))

All is measured on copies; the model stays as it is. What is said was found in the numbers: a healthy network is told to
be one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from minigrad.blas_threads import one_blas_thread
from minigrad.configured import require
from minigrad.display import html_table, text_table
from minigrad.layer import Layer, whole_copy
from minigrad.layers.activations import Activation, Identity, Sigmoid, Softmax, Tanh
from minigrad.layers.embedding import Embedding
from minigrad.layers.more_activations import HardSigmoid, LogSoftmax, Softsign
from minigrad.layers.normalization import Normalization
from minigrad.layers.standardize import Standardize
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, decaying, walk
from minigrad.training.dataset import Dataset, as_examples
from minigrad.training.objective import Objective
from minigrad.training.relation import tell_nothing

ROWS = 512  # looked at, drawn at random
STEPS = 10  # made with the rate that is given, and with others
SLOWER = {0.1: "a tenth", 0.01: "a hundredth", 0.001: "a thousandth"}
FASTER = (100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5)
MUCH_WORSE, BETTER, STANDS_STILL, MUCH_BETTER = 1.5, 0.98, 0.995, 0.8
"""Times the loss before: what a rate has made of it when it is said to be too large, or too small."""
LEARNED = 0.5  # times the loss beside the targets of other rows: what knows so much of its rows has learned
STEEPEST: dict[type[Layer], float] = {Sigmoid: 0.25, HardSigmoid: 1 / 6, Tanh: 1.0, Softsign: 1.0}
FLAT = 0.05  # of its steepest slope, from which on an activation counts as saturated
SATURATED, DEAD = 0.7, 0.4  # of the numbers, and of the units, from which on it is said
LARGE = 10.0  # root mean square of x
VANISHED = 1e-5  # of the last layer's gradient


@dataclass(frozen=True)
class Part:
    """One layer: the `size` of its outputs and of the `gradient` by them (root mean squares), and shares of its units.

    `saturated` and `dead` are None where the layer is no activation, `ratio`, that of step to weight, where it has no
    parameters or no optimizer was given.
    """

    title: str
    size: float
    gradient: float
    saturated: float | None = None
    dead: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class Health:
    """What was found: `faults` has a sentence for each, by its name; `parts` are the layers, the first one first.

    The names are saturated, dead, rate too small, rate too large, unscaled, frozen, labels and vanishing.
    """

    rows: int
    loss: float
    faults: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)

    def __str__(self) -> str:
        said = [f"{name}: {sentence}" for name, sentence in self.faults.items()]
        return "\n".join([f"{self._title()}", *said, "", text_table(*self._table(), align="<>>>>>")])

    def _repr_html_(self) -> str:
        said = "".join(f"<li><b>{escape(name)}</b>: {escape(sentence)}</li>" for name, sentence in self.faults.items())
        return f"<p>{escape(self._title())}</p>" + f"<ul>{said}</ul>" * bool(said) + html_table(*self._table())

    def _title(self) -> str:
        state = "nothing is wrong that shows" if not self.faults else f"{len(self.faults)} to look at"
        return f"{self.rows:,} rows, loss {self.loss:.4g}: {state}"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = ["layer", "outputs", "gradient", "saturated", "dead units", "step / weight"]
        rows = [
            [
                part.title,
                f"{part.size:.2g}",
                f"{part.gradient:.2g}",
                _share(part.saturated),
                _share(part.dead),
                "" if part.ratio is None else f"{part.ratio:.1e}",
            ]
            for part in self.parts
        ]
        return head, rows


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def health(model: Model, x: Any, t: Any, loss: Loss, *, optimizer: Optimizer | None = None, seed: int = 0) -> Health:
    """How a model is on some of these rows; `Sequential.health` says more."""
    if optimizer is not None:
        require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
    trial = whole_copy(model)
    objective = Objective(trial, loss)  # which says what is no loss
    with np.errstate(all="ignore"), one_blas_thread():  # more of them wait for each other longer than they multiply
        examples = as_examples(trial, loss, Dataset(x, t))
        rows = np.random.default_rng(seed).permutation(len(examples))[:ROWS]
        batch = trial.admit(np.asarray(examples.x)[rows]), examples.targets(rows)
        beside_others = objective.value(batch[0], batch[1][::-1])
        seen = _Seen(objective, *batch)
        faults: dict[str, str] = {}
        faults |= _of_x(batch[0], seen.leaves)
        faults |= _of_units(seen, seen.loss < LEARNED * beside_others)
        faults |= _of_gradients(seen)
        if optimizer is not None:
            faults |= _of_rate(model, loss, optimizer, *batch)
        if tell_nothing(batch[0], batch[1]):
            faults["labels"] = (
                f"nothing in these {len(rows)} rows of x tells t: neighbours are no more alike in t than any two rows, "
                f"and no sum of columns goes along with it. Were x and t shuffled apart?"
            )
    ratios = _ratios(model, loss, optimizer, *batch) if optimizer is not None else {}
    parts = [seen.part(number, ratios.get(number)) for number in range(len(seen.leaves))]
    return Health(len(rows), float(seen.loss), faults, parts)


class _Seen:
    """One forward and backward of a copy, layer by layer: what each layer without layers in it gave and was given."""

    def __init__(self, objective: Objective, x: Array, t: Array) -> None:
        self.leaves = [layer for outer in objective.layers for layer in walk([outer]) if not layer.layers]
        self.x: dict[int, Array] = {}
        self.y: dict[int, Array] = {}
        self.dy: dict[int, Array] = {}
        for number, layer in enumerate(self.leaves):
            vars(layer)["forward"] = self._forward(number, layer.forward)
            vars(layer)["backward"] = self._backward(number, layer.backward)
        self.loss = objective.differentiate(x, t)
        self.slopes = {number: self._slope(layer, number) for number, layer in enumerate(self.leaves)}

    def _forward(self, number: int, forward: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def seen(x: Any) -> Any:
            y = forward(x)
            self.x[number], self.y[number] = x, y
            return y

        return seen

    def _backward(self, number: int, backward: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def seen(dy: Any) -> Any:
            self.dy.setdefault(number, dy)
            return backward(dy)

        return seen

    def _slope(self, layer: Layer, number: int) -> Array | None:
        """dy/dx of an activation of single numbers, units last."""
        if not isinstance(layer, Activation) or isinstance(layer, Softmax | LogSoftmax | Identity):
            return None
        if number not in self.dy:
            return None
        slope: Array = layer.backward(np.ones_like(self.dy[number]))
        return slope.reshape(-1, slope.shape[-1])

    def saturated(self, number: int) -> float | None:
        """The share of its numbers at which an activation with two ends hardly changes."""
        slope, steepest = self.slopes[number], STEEPEST.get(type(self.leaves[number]))
        if slope is None or steepest is None:
            return None
        return float((np.abs(slope) < FLAT * steepest).mean())

    def dead(self, number: int) -> float | None:
        """The share of units that let no gradient through, for none of the rows."""
        slope = self.slopes[number]
        if slope is None or type(self.leaves[number]) in STEEPEST:
            return None
        return float((slope == 0).all(axis=0).mean())

    def part(self, number: int, ratio: float | None) -> Part:
        """What is shown of a layer."""
        size, gradient = _size(self.y[number]), _size(self.dy.get(number, np.zeros(0)))
        return Part(repr(self.leaves[number]), size, gradient, self.saturated(number), self.dead(number), ratio)


def _size(array: Array) -> float:
    return float(np.sqrt(np.square(array.astype(np.float64)).mean())) if array.size else 0.0


def _of_x(x: Array, leaves: list[Layer]) -> dict[str, str]:
    if x.dtype.kind != "f" or any(isinstance(layer, Embedding) for layer in leaves):
        return {}
    first = leaves[0]
    if isinstance(first, Standardize | Normalization) or _size(x) < LARGE:
        return {}
    low, high = float(x.min()), float(x.max())
    what = "x / 255" if low >= 0 and 1 < high <= 255 else "Standardize(…).fit(x) as the first layer"
    return {"unscaled": f"x lies between {low:.4g} and {high:.4g}; numbers around 1 train better: {what}"}


def _of_units(seen: _Seen, learned: bool) -> dict[str, str]:
    faults = {}
    for number, layer in enumerate(seen.leaves):
        saturated, dead = seen.saturated(number), seen.dead(number)
        if saturated is not None and saturated >= SATURATED and not learned and "saturated" not in faults:
            faults["saturated"] = (
                f"{saturated:.0%} of what {layer!r}, layer {number + 1}, gives lies at its ends, where it has next to "
                f"no slope, and nothing before it learns: its weights or its inputs are too large"
            )
        if dead is not None and dead >= DEAD and "dead" not in faults:
            units = seen.slopes[number]
            assert units is not None
            faults["dead"] = (
                f"{dead:.0%} of the {units.shape[-1]} units of {layer!r}, layer {number + 1}, are dead ReLUs: they let "
                f"no gradient through, for none of the rows. A smaller rate, or LeakyReLU, keeps them alive"
            )
    return faults


def _of_gradients(seen: _Seen) -> dict[str, str]:
    frozen, sizes = [], {}
    for number, layer in enumerate(seen.leaves):
        dy = seen.dy.get(number)
        if dy is None or not layer.params:
            continue
        sizes[number] = _size(dy)
        still = [name for name, array in layer.grads.items() if not array.any()]
        if still and dy.any() and seen.x[number].any():
            frozen.append(
                f"the gradient of {', '.join(still)} in {layer!r}, layer {number + 1}, is exactly 0 for all rows, "
                f"though dy is not: {'it is' if len(still) == 1 else 'they are'} never trained. Does its backward set "
                f"{', '.join(f'd{name}' for name in still)}?"
            )
    faults = {"frozen": " ".join(frozen)} if frozen else {}
    if len(sizes) > 1:
        first, last = min(sizes), max(sizes)
        if 0 <= sizes[first] < VANISHED * sizes[last]:
            faults["vanishing"] = (
                f"what reaches {seen.leaves[first]!r}, layer {first + 1}, of the gradient is {sizes[first]:.1e}, at "
                f"{seen.leaves[last]!r}, layer {last + 1}, it is {sizes[last]:.1e}: it vanishes on the way"
            )
    return faults


def _steps(model: Model, loss: Loss, optimizer: Optimizer, factor: float, x: Array, t: Array) -> Iterator[float]:
    """The loss after so many steps of a copy, at so many times the rate, from 0 on."""
    model, optimizer = whole_copy(model), copy.deepcopy(optimizer)
    for part in optimizer.parts():
        if "learning_rate" in vars(part):
            part.learning_rate = _times(factor, part.learning_rate)
    objective = Objective(model, loss)
    while True:
        yield objective.gradient(x, t)
        optimizer.step(model.theta, model.dtheta)


def _times(factor: float, rate: Any) -> Any:
    return (lambda step: factor * rate(step)) if callable(rate) else factor * rate


def _losses(model: Model, loss: Loss, optimizer: Optimizer, factor: float, x: Array, t: Array) -> list[float]:
    """The loss before the first step, and after each."""
    values = _steps(model, loss, optimizer, factor, x, t)
    return [next(values) for _ in range(STEPS + 1)]


def _of_rate(model: Model, loss: Loss, optimizer: Optimizer, x: Array, t: Array) -> dict[str, str]:
    before, *after = _losses(model, loss, optimizer, 1.0, x, t)
    said = f"{STEPS} steps with {optimizer!r} take the loss on these rows from {before:.4g} to {after[-1]:.4g}"
    if not np.median(after) < MUCH_WORSE * before:
        for factor, word in SLOWER.items():
            slower = _losses(model, loss, optimizer, factor, x, t)[-1]
            if slower < BETTER * before:
                return {"rate too large": f"{said}, with {word} of the rate to {slower:.4g}"}
    elif after[-1] > STANDS_STILL * before:
        for factor in FASTER:
            faster = _losses(model, loss, optimizer, factor, x, t)[-1]
            if faster < MUCH_BETTER * before:
                return {"rate too small": f"{said}, with {factor:,.0f} times the rate to {faster:.4g}"}
    return {}


def _ratios(model: Model, loss: Loss, optimizer: Optimizer, x: Array, t: Array) -> dict[int, float]:
    """How large one step is beside the weights, for each layer that has some."""
    model, optimizer = whole_copy(model), copy.deepcopy(optimizer)
    objective = Objective(model, loss)
    leaves = [layer for outer in objective.layers for layer in walk([outer]) if not layer.layers]
    before = [{name: array.copy() for name, array in layer.params.items()} for layer in leaves]
    with np.errstate(all="ignore"):
        objective.gradient(x, t)
        optimizer.step(model.theta, model.dtheta)
        found = {}
        for number, (layer, held) in enumerate(zip(leaves, before, strict=True)):
            names = decaying(layer) or list(held)
            weights = np.concatenate([held[name].ravel() for name in names]) if names else np.zeros(0)
            if weights.any():
                steps = np.concatenate([(layer.params[name] - held[name]).ravel() for name in names])
                found[number] = _size(steps) / _size(weights)
    return found
