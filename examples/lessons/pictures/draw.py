"""The pictures of the lessons, one function each: `python examples/lessons/pictures/draw.py` draws them beside itself.

What they show is computed here: costs, Jacobians and attention are those of the lessons' own formulas.
"""

import runpy
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("svg")
import matplotlib.pyplot as plt

from minigrad import Adam, CategoricalCrossEntropy, Dense, Embedding, PositionalEncoding, Sequential, Softmax
from minigrad.data import load_digits

HERE = Path(__file__).parent
RED, BLUE, GREY = "#c0392b", "#2c6fbb", "#888888"


def solved(number):
    """The names of a lesson's solution."""
    (path,) = (HERE.parent / "solutions").glob(f"lesson_{number:02}_*.py")
    return runpy.run_path(str(path))


def panels(count, width=6.4, height=2.9):
    return plt.subplots(1, count, figsize=(width, height), layout="constrained", squeeze=False)


def boxes(axes, names, y=0.0, gap=1.55, width=1.1):
    """Boxes side by side, with their names; the places of their centres."""
    places = [gap * i for i in range(len(names))]
    for place, name in zip(places, names, strict=True):
        box = plt.Rectangle((place - width / 2, y - 0.28), width, 0.56, facecolor="#f3f3f3", edgecolor=GREY)
        axes.add_patch(box)
        axes.text(place, y, name, ha="center", va="center")
    return places


def arrow(axes, start, end, text="", colour=GREY, above=0.16, bend=0.0, aside=0.0):
    style = {"arrowstyle": "-|>", "color": colour, "connectionstyle": f"arc3,rad={bend}", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)
    axes.text(
        (start[0] + end[0]) / 2 + aside, (start[1] + end[1]) / 2 + above, text, ha="center", va="center", color=colour
    )


def table(axes, values, title, limit, numbers=True, digits=2):
    """A small table of numbers in colours: red above 0, blue below."""
    axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    if numbers:
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if abs(value) > 0.6 * limit else "black"
            axes.text(
                column,
                row,
                f"{round(value, digits) + 0.0:.{digits}f}",
                ha="center",
                va="center",
                fontsize=9,
                color=colour,
            )


def lesson_01():
    figure, ((axes,),) = panels(1, 4.2, 3.4)
    first, second = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60))
    answers = np.tanh(2 * first + 2 * second - 3)
    shown = axes.imshow(answers, origin="lower", extent=(0, 1, 0, 1), cmap="RdBu_r", vmin=-1, vmax=1)
    axes.contour(first, second, answers, [0], colors="black", linewidths=1)
    axes.text(0.58, 0.66, "z = 0", rotation=-45, fontsize=9)
    axes.set(xlabel="first input", ylabel="second input")
    figure.colorbar(shown, label="y = tanh(z)")
    return figure


def lesson_02():
    figure, ((axes,),) = panels(1, 5.6)
    h = 10.0 ** np.arange(-15, 0, 0.25)
    one_side = ((2 + h) ** 3 - 8) / h
    both_sides = ((2 + h) ** 3 - (2 - h) ** 3) / (2 * h)
    axes.loglog(h, np.maximum(abs(one_side - 12), 1e-13), color=BLUE, label="one side")
    axes.loglog(h, np.maximum(abs(both_sides - 12), 1e-13), color=RED, label="both sides")
    axes.set(xlabel="nudge h", ylabel="error of the derivative")
    axes.legend(frameon=False)
    return figure


def lesson_03():
    figure, ((axes,),) = panels(1, 7.2, 1.9)
    places = boxes(axes, ["x", "z1", "a1", "z2", "y", "L"])
    forward = ["W1, b1", "s", "W2, b2", "s", "loss"]
    back = ["dx", "dz1", "da1", "dz2", "dy"]
    for start, end, there, here in zip(places, places[1:], forward, back, strict=False):
        arrow(axes, (start + 0.55, 0.1), (end - 0.55, 0.1), there, BLUE, 0.4)
        arrow(axes, (end - 0.55, -0.1), (start + 0.55, -0.1), here, RED, -0.4)
    axes.text(places[0] - 0.55, 0.85, "forward: values", color=BLUE)
    axes.text(places[0] - 0.55, -1.0, "backward: how much L changes with each", color=RED)
    axes.set(xlim=(-0.8, 8.5), ylim=(-1.2, 1.2))
    axes.axis("off")
    return figure


def lesson_04():
    figure, (axes,) = panels(2, 7.2)
    x, labels = load_digits()
    t = np.eye(10)[labels - 1]
    for wrong, colour in ((True, RED), (False, BLUE)):
        rng = np.random.default_rng(0)
        power = 3 if wrong else 6**0.5
        W1, W2 = (rng.uniform(-1, 1, shape) * power / sum(shape) ** 0.5 for shape in ((400, 25), (25, 10)))
        b1, b2 = np.zeros(25), np.zeros(10)
        costs, kept = [], []
        for _ in range(20):
            with np.errstate(all="ignore"):
                a1 = 1 / (1 + np.exp(-(x @ W1 + b1)))
                p = 1 / (1 + np.exp(-(a1 @ W2 + b2)))
                terms = -(t * np.log(p) + (1 - t) * np.log(1 - p))
                dz2 = (p - t) * (1 if wrong else 1 / len(x))
                dz1 = dz2 @ W2.T * a1 * (1 - a1)
            costs.append(terms[np.isfinite(terms)].sum() / len(x))
            kept.append(np.isfinite(terms).mean())
            if wrong:
                W1, W2 = 0.003 * x.T @ dz1, 0.003 * a1.T @ dz2
            else:
                W1, W2 = W1 - 2 * x.T @ dz1, W2 - 2 * a1.T @ dz2
                b1, b2 = b1 - 2 * dz1.sum(axis=0), b2 - 2 * dz2.sum(axis=0)
        axes[0].plot(range(1, 21), costs, color=colour, label="tutorial" if wrong else "right")
        axes[1].plot(range(1, 21), 100 * np.array(kept), color=colour)
    axes[0].set_yscale("symlog", linthresh=1)
    axes[0].set(xlabel="epoch", ylabel="reported cost", ylim=(-0.1, 300))
    axes[0].set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    axes[0].legend(frameon=False)
    axes[1].set(xlabel="epoch", ylabel="terms that were added up, %", ylim=(-5, 105))
    return figure


def lesson_05():
    figure, (axes,) = panels(2, 6.4)
    y = solved(5)["softmax"](np.array([2.0, 1.0, 0.0, -1.0]))
    table(axes[0], np.diag(y) - np.outer(y, y), "the Jacobian, ∂y_k/∂x_j", 0.25, digits=3)
    table(axes[1], np.diag(y * (1 - y)), "its diagonal alone: the usual mistake", 0.25, digits=3)
    return figure


def lesson_06():
    figure, ((axes,),) = panels(1, 6.4, 2.6)
    places = boxes(axes, ["x", "d = x - μ", "u = d r", "y = gamma u\n+ beta"], 0.6, 2.3, 1.7)
    for start, end in pairwise(places):
        arrow(axes, (start + 0.85, 0.6), (end - 0.85, 0.6), colour=BLUE)
    (mean,) = boxes(axes, ["μ"], -0.6, width=0.9)
    axes.add_patch(plt.Rectangle((2.5, -0.88), 2.3, 0.56, facecolor="#f3f3f3", edgecolor=GREY))
    axes.text(3.65, -0.6, "v,  r = 1/√(v + eps)", ha="center", va="center")
    arrow(axes, (0, 0.32), (0, -0.32), colour=RED)
    arrow(axes, (mean + 0.45, -0.45), (places[1] - 0.3, 0.32), "all rows", RED, -0.25, aside=0.2)
    arrow(axes, (places[1] + 0.3, 0.32), (3.2, -0.32), colour=RED)
    arrow(axes, (4.1, -0.32), (places[2], 0.32), "all rows", RED, 0.0, aside=0.6)
    axes.set(xlim=(-1.0, 7.9), ylim=(-1.1, 1.1))
    axes.axis("off")
    return figure


def lesson_07():
    figure, (axes,) = panels(2, 5.6, 2.7)
    x, labels = load_digits()
    digit = x[labels == 7][0].reshape(20, 20)
    edges = digit[:, 1:] - digit[:, :-1]
    axes[0].imshow(digit, cmap="gray_r")
    axes[0].set_title("a digit", fontsize=10)
    table(axes[1], edges, "where (-1, 1) answers", 1, numbers=False)
    axes[0].set_xticks([])
    axes[0].set_yticks([])
    return figure


def lesson_08():
    figure, ((axes,),) = panels(1, 5.6)
    rng = np.random.default_rng(0)
    x, U = rng.normal(size=(12, 2)), rng.normal(size=(2, 4))
    direction = rng.normal(size=(4, 4))
    direction /= abs(np.linalg.eigvals(direction)).max()
    sizes_of_v = ((0.5, BLUE, "-", 1), (1.0, GREY, "-", 1), (2.0, RED, "-", 1), (2.0, RED, "--", 0))
    for scale, colour, line, given in sizes_of_v:
        states = [np.zeros(4)]
        for step in x:
            states.append(np.tanh(given * step @ U + states[-1] @ (scale * direction)))
        dh, sizes = np.ones(4), []
        for h in reversed(states[1:]):
            sizes.append(abs(dh).max())
            dh = (dh * (1 - h**2)) @ (scale * direction).T
        label = f"V of size {scale}" + ("" if given else ", no input")
        axes.semilogy(range(12), sizes, line, color=colour, marker="o", markersize=3, label=label)
    axes.set(xlabel="steps before the last", ylabel="largest |dh|")
    axes.legend(frameon=False)
    return figure


def lesson_09():
    figure, (axes,) = panels(2, 5.8)
    names = solved(9)
    table(axes[0], names["softmax"](8 * np.eye(4)[[1, 2, 3, 0]]), "the example: each looks at the next", 1)
    layer = names["Attention"](4)
    layer.forward(np.random.default_rng(0).normal(size=(1, 4, 4)))
    table(axes[1], layer.P[0], "a layer that has learned nothing", 1)
    return figure


def lesson_10():
    figure, (axes,) = panels(2, 6.6, 3.6)
    left, right = axes
    names = ["x", "norm1", "attention", "+", "norm2", "wide, relu, narrow", "+", "y"]
    for place, name in enumerate(names):
        left.text(0, -place, name, ha="center", va="center", bbox={"facecolor": "#f3f3f3", "edgecolor": GREY, "pad": 4})
        if place:
            arrow(left, (0, -place + 0.68), (0, -place + 0.32), colour=BLUE)
    for start, end in ((0, -3), (-3, -6)):
        left.plot([0.25, 1.9, 1.9], [start - 0.13, start - 0.13, end + 0.13], color=RED, linewidth=1)
        arrow(left, (1.9, end + 0.13), (0.2, end + 0.13), colour=RED)
    left.text(2.1, -3.0, "the direct ways", color=RED, va="center")
    left.set(xlim=(-1.9, 4.2), ylim=(-7.5, 0.5))
    left.axis("off")

    block = solved(10)["Block"]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 10, size=(3000, 6))
    blocks = [block(16), block(16)]
    layers = [Embedding(10, 16), PositionalEncoding(16), *blocks, Dense(16, 10), Softmax()]
    model = Sequential(layers, seed=0)
    t = np.eye(10)[np.sort(x, axis=1)]
    model.fit(x, t, loss=CategoricalCrossEntropy(), optimizer=Adam(0.005), epochs=20, batch_size=32)
    digits = np.array([[7, 2, 9, 4, 0, 5]])
    result = model.forward(digits).argmax(axis=-1)[0]
    looks = max((block.attention.a[0, 0] for block in blocks), key=lambda P: P.max(axis=-1).sum())
    table(right, looks, "where each place looks, in one of its blocks", 1, numbers=False)
    right.set_xticks(range(6), digits[0])
    right.set_yticks(range(6), result)
    right.set(xlabel="given", ylabel="sorted")
    return figure


def main(folder):
    # Text stays text, and no date is written: the same picture is the same file.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "minigrad", "font.size": 10})
    for name, draw in [(name, draw) for name, draw in globals().items() if name.startswith("lesson_")]:
        figure = draw()
        figure.savefig(Path(folder) / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else HERE)
