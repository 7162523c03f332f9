"""Pictures of training and of its result. Every function draws into `ax`, a new one by default, and returns it.

    ax = learning_curves(history)
    ax.figure.savefig("curves.png")

They need matplotlib (`pip install "minigrad-nn[plots]"`), which is imported when the first picture is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.layers.dense import Dense
from minigrad.metrics import wilson_interval
from minigrad.model import Model
from minigrad.parameter import Array
from minigrad.training.health import Health
from minigrad.training.history import History
from minigrad.training.rates import Rates
from minigrad.version import installing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE = "#2f6fde", "#e07b1a"  # told apart by the colour-blind too, readable on white and on black
SMALLEST_SIDE = 8  # a row of 4 or 9 columns is a table's, although it would make a square


def learning_curves(history: History, ax: Axes | None = None) -> Axes:
    """The loss of each epoch, in training and, where there is one, in validation; the restored epoch is marked.

    learning_curves(model.fit(x, t, …, validation=0.1))
    """
    ax = _axes(ax)
    epochs = np.arange(1, len(history) + 1)
    marker = "o" if len(history) == 1 else None  # one point makes no line
    ax.plot(epochs, history.loss, color=BLUE, label="training", marker=marker)
    if history.validation_loss:
        ax.plot(epochs, history.validation_loss, color=ORANGE, label="validation", marker=marker)
        ax.legend(frameon=False)
    if history.best_epoch is not None:
        ax.axvline(history.best_epoch, color="gray", linewidth=1, linestyle=":")
    ax.set(xlabel="epoch", ylabel="loss", ylim=(0, None) if min(history.loss) >= 0 else None)
    ax.locator_params(axis="x", integer=True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def learning_rates(found: Rates, ax: Axes | None = None) -> Axes:
    """The loss while the learning rate rises, step by step, its running mean, and the rate to begin with.

    learning_rates(model.learning_rates(x, t, loss=…, optimizer=…))
    """
    ax = _axes(ax)
    ax.plot(found.rates, found.losses, color=BLUE, alpha=0.3, linewidth=1)
    ax.plot(found.rates, found.smoothed, color=BLUE)
    ax.axvline(found.best, color=ORANGE, linewidth=1)
    ax.annotate(f"{found.best:.2g}", (found.best, 1), xycoords=("data", "axes fraction"), color=ORANGE, va="bottom")
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss before the step")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def health(found: Health, ax: Axes | None = None) -> Axes:
    """What reaches each layer of the gradient, beside how large its outputs are; saturated and dead shares in orange.

    health(model.health(x, t, loss))
    """
    ax = _axes(ax)
    names = [f"{number}  {_short(part.title.split('(')[0])}" for number, part in enumerate(found.parts, 1)]
    places = np.arange(len(names))
    for size, label, color, shift in (("size", "outputs", "gray", -0.2), ("gradient", "gradient", BLUE, 0.2)):
        values = np.array([getattr(part, size) for part in found.parts])
        lengths = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        ax.barh(places + shift, lengths, 0.35, color=color, label=label)
    for place, part in zip(places, found.parts, strict=True):
        shares = [(part.saturated, "saturated"), (part.dead, "dead")]
        said = ", ".join(f"{share:.0%} {word}" for share, word in shares if share is not None and share >= 0.005)
        at = ax.get_yaxis_transform()
        ax.text(1.0, float(place), said, transform=at, color=ORANGE, ha="right", va="center", fontsize="small")
    ax.set_yticks(places, names, parse_math=False)
    ax.set(xscale="log", xlabel="root mean square")
    ax.invert_yaxis()
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def confusion(matrix: npt.ArrayLike, classes: Sequence[Any], ax: Axes | None = None) -> Axes:
    """The confusion matrix: true classes down, predicted ones across, darker for a larger share of the true class.

    confusion(confusion_matrix(labels, model.predict_classes(x)), model.classes)
    """
    ax = _axes(ax)
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # A transparent colour, not a pale one: so the picture fits on a dark page as well.
    colors = np.zeros((*counts.shape, 4))
    colors[..., :3] = [int(BLUE[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    colors[..., 3] = np.where(counts > 0, 0.08 + 0.92 * shares, 0)
    ax.imshow(colors)
    names = [_short(name) for name in classes]
    fits = len(names) * max(map(len, names)) <= 30  # side by side
    ax.set_xticks(range(len(names)), names, rotation=0 if fits else 90, parse_math=False)
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if len(names) <= 20:
        for i, j in zip(*np.nonzero(counts), strict=True):
            number = ax.text(j, i, f"{counts[i, j]}", ha="center", va="center", fontsize="small")
            if shares[i, j] > 0.45:
                number.set_color("white")
    return ax


def images(x: npt.ArrayLike, titles: Sequence[str] | None = None, ax: Axes | None = None, columns: int = 8) -> Axes:
    """Rows of x as square pictures, side by side, with a title above each.

        images(x_test[:16], [str(label) for label in labels[:16]])

    x is (m, n²), (m, n, n) or (m, n, n, 1). Raises ValueError for other rows. Values below zero are drawn in orange,
    those above in blue, where there are both; else the picture is gray, and the largest value is white.
    """
    x = np.asarray(x)
    side = image_side(x.shape[1:], smallest=1)
    if side is None or len(x) == 0:
        raise ValueError(f"x of shape {x.shape} has no rows that are square pictures")
    pictures = x.reshape(-1, side, side).astype(np.float64)
    ax = _axes(ax)
    signed = pictures.min() < 0 < pictures.max()
    low, high = (-abs(pictures).max(), abs(pictures).max()) if signed else (pictures.min(), pictures.max())
    down = math.ceil(len(pictures) / columns)
    above = 0.0 if titles is None else 0.28  # of a picture's side, for the title
    for place, picture in enumerate(pictures):
        left, top = 1.12 * (place % columns), (1.12 + above) * (place // columns)
        where = (left, left + 1, top + 1, top)
        ax.imshow(picture, cmap=signed_colors() if signed else "gray", vmin=low, vmax=high, extent=where)
        if titles is not None:
            ax.text(left + 0.5, top - 0.05, titles[place], ha="center", fontsize="small", parse_math=False)
    ax.set(xlim=(-0.05, 1.12 * columns), ylim=((1.12 + above) * down - above, -above - 0.05))
    ax.set_axis_off()
    return ax


def weights(model: Model, ax: Axes | None = None, columns: int = 8) -> Axes:
    """The weights into each unit of the first layer as a picture: what it looks for, blue, and against, orange.

        weights(model)

    Raises ValueError where the first layer with parameters is no Dense, or its inputs make no square.
    """
    W = first_weights(model)
    if W is None or image_side(W.shape[:1], smallest=1) is None:
        raise ValueError(f"the weights of {model!r} make no pictures: its first layer takes no square rows")
    return images(W.T, ax=ax, columns=columns)


def residuals(t: npt.ArrayLike, p: npt.ArrayLike, ax: Axes | None = None) -> Axes:
    """What was missed, t - p, against the prediction p. A good model leaves a band around 0 without a shape.

    residuals(t_test, model.predict(x_test)[:, 0])
    """
    ax = _axes(ax)
    t, p = np.ravel(t), np.ravel(p)
    ax.axhline(0, color="gray", linewidth=1)
    ax.plot(p, t - p, ".", color=BLUE, alpha=0.7, markersize=7, markeredgewidth=0, rasterized=len(t) > 2000)
    ax.set(xlabel="predicted", ylabel="true - predicted")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def reliability(
    confidence: npt.ArrayLike,
    right: npt.ArrayLike,
    ax: Axes | None = None,
    bins: int = 10,
    labels: tuple[str, str] = ("confidence: the largest output", "share of right answers"),
) -> Axes:
    """How often answers of each confidence are right: on the diagonal, an output of 0.8 means right in 80 of 100.

        p = model.predict(x)
        reliability(p.max(axis=1), model.predict_classes(x) == labels)

    Of one class, `confidence` is its output and `right` whether the row is of it. Rows are sorted by confidence into
    `bins` groups of equal size; each is a point, its line the 95 % interval. `labels` are those of the axes.
    Source: DeGroot and Fienberg, "The comparison and evaluation of forecasters", The Statistician 32, 1983.
    """
    ax = _axes(ax)
    confidence, right = np.ravel(confidence), np.ravel(right)
    ax.plot([0, 1], [0, 1], color="gray", linewidth=1)
    for group in np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(confidence))):
        mean = confidence[group].mean()
        low, high = wilson_interval(int(right[group].sum()), len(group))
        ax.plot([mean, mean], [low, high], color=BLUE, linewidth=1)
        ax.plot(mean, right[group].mean(), "o", color=BLUE, markersize=4)
    ax.set(xlabel=labels[0], ylabel=labels[1], xlim=(0, 1.02), ylim=(0, 1.02))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def dependence(
    values: Sequence[Any], outputs: npt.ArrayLike, names: Sequence[str], numbers: bool, ax: Axes | None = None
) -> Axes:
    """The mean output where every row has one value in a column: a line along numbers, points for kinds.

        dependence([20, 30, 40], [[0.1], [0.2], [0.4]], ["probability of yes"], numbers=True)

    `outputs` (V, K) are those for each value, `names` what they are.
    """
    ax = _axes(ax)
    outputs = np.asarray(outputs)
    places: Any = values if numbers else range(len(values))
    for k, name in enumerate(names):
        ax.plot(places, outputs[:, k], "-o" if numbers else "o", markersize=3 if numbers else 6,
                color=[BLUE, ORANGE][k] if k < 2 else None, label=_short(name))  # fmt: skip
    if not numbers:
        shown = [_short(value) for value in values]
        fits = len(shown) * max(map(len, shown)) <= 30
        ax.set_xticks(range(len(values)), shown, rotation=0 if fits else 90, parse_math=False)
        ax.margins(x=0.15)
    elif np.asarray(values).dtype.kind in "MO":  # dates, which are longer than the space between two ticks
        ax.tick_params(axis="x", labelrotation=30)
    if len(names) > 1:
        for text in ax.legend(frameon=False, fontsize="small").get_texts():
            text.set_parse_math(False)
    ax.locator_params(axis="y", nbins=5)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def image_side(row: tuple[int, ...], smallest: int = SMALLEST_SIDE) -> int | None:
    """n where a row of this shape is a picture of n x n gray pixels, n at least `smallest`; else None."""
    if len(row) == 3 and row[2] == 1:
        row = row[:2]
    side = math.isqrt(math.prod(row))
    square = row in ((side, side), (side * side,))
    return side if square and side >= smallest else None


def first_weights(model: Model) -> Array | None:
    """W (inputs, units) of the first layer with parameters, where that is a Dense; else None."""
    layer = next((layer for layer in model.chain() if layer.params or layer.layers), None)
    return layer.params["W"] if isinstance(layer, Dense) else None


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"minigrad.plots needs matplotlib: {installing('plots')}") from error
    return plt.subplots(layout="constrained")[1]


def signed_colors() -> Any:
    """The colour map of pictures with values on both sides of 0: orange below, white at 0, blue above."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("orange to blue", [ORANGE, "#ffffff", BLUE])


def _short(name: Any) -> str:
    text = str(name)
    return text if len(text) <= 14 else text[:13] + "…"
