"""The plots draw what they say, into the axes that they are given."""

import inspect
import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from minigrad import Dense, Flatten, History, ReLU, Sequential, Sigmoid, plots
from minigrad.training.health import Health, Part
from minigrad.training.rates import Rates


@pytest.fixture(autouse=True)
def nothing_stays_open():
    yield
    plt.close("all")


HISTORY = History(loss=[3.0, 2.0, 1.5], validation_loss=[3.0, 2.5, 2.6], best_epoch=2)
RATES = Rates([0.01, 0.1, 1.0], [2.0, 1.0, 3.0], [2.0, 1.4, 2.0], 0.02)
HEALTH = Health(5, 1.0, {"dead": "half of them"}, [Part("Dense(3, 4)", 2.0, 0.1), Part("ReLU()", 1.0, 0.0, dead=0.5)])
RNG = np.random.default_rng(0)
DRAWINGS = {
    "learning_curves": lambda ax: plots.learning_curves(HISTORY, ax),
    "learning_rates": lambda ax: plots.learning_rates(RATES, ax),
    "health": lambda ax: plots.health(HEALTH, ax),
    "confusion": lambda ax: plots.confusion([[3, 1], [0, 2]], ["a", "b"], ax),
    "images": lambda ax: plots.images(RNG.random((3, 64)), ["a", "b", "c"], ax),
    "weights": lambda ax: plots.weights(Sequential([Dense(64, 5), Sigmoid()], seed=0), ax),
    "residuals": lambda ax: plots.residuals([1.0, 2.0], [1.5, 1.5], ax),
    "dependence": lambda ax: plots.dependence(["a", "b"], [[0.1], [0.4]], ["probability of yes"], False, ax),
    "reliability": lambda ax: plots.reliability(RNG.random(50), RNG.random(50) > 0.5, ax),
}


def test_every_plot_is_tried():
    functions = {name for name, value in vars(plots).items() if "ax" in getattr(value, "__annotations__", {})}
    assert functions - {"_axes"} == set(DRAWINGS)
    for name in DRAWINGS:
        assert re.search(rf"^ *{name}\(", inspect.getdoc(getattr(plots, name)), re.MULTILINE), "its docstring calls it"


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_plot_takes_axes_and_returns_them(draw):
    _, (left, right) = plt.subplots(1, 2)
    assert draw(left) is left
    assert left.has_data() and not right.has_data()
    left.figure.canvas.draw()
    new = draw(None)
    assert new.figure is not left.figure and new.has_data()


def test_learning_curves_hold_the_history():
    ax = plots.learning_curves(HISTORY)
    curves = {line.get_label(): line for line in ax.lines}
    assert list(curves["training"].get_ydata()) == HISTORY.loss
    assert list(curves["validation"].get_ydata()) == HISTORY.validation_loss
    assert list(curves["training"].get_xdata()) == [1, 2, 3]
    assert [2, 2] in [list(line.get_xdata()) for line in ax.lines]  # the best epoch
    assert len(plots.learning_curves(History(loss=[1.0])).lines) == 1
    assert plots.learning_curves(History(loss=[-1.0, -2.0])).get_ylim()[0] < -2


def test_the_confusion_matrix_writes_its_counts_where_they_belong():
    ax = plots.confusion([[3, 1], [0, 2]], ["$a", "<b>"])
    assert {(text.get_position(), text.get_text()) for text in ax.texts} == {
        ((0, 0), "3"),
        ((1, 0), "1"),
        ((1, 1), "2"),
    }
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["$a", "<b>"]
    colors = ax.images[0].get_array()
    assert colors[1, 0, 3] == 0 and colors[0, 0, 3] > colors[0, 1, 3] > 0
    ax.figure.canvas.draw()
    assert not plots.confusion(np.eye(30, dtype=int), range(30)).texts


@pytest.mark.parametrize("shape", [(4, 64), (4, 8, 8), (4, 8, 8, 1), (4, 9)])
def test_images_show_rows_upright(shape):
    x = RNG.random(shape)
    ax = plots.images(x, columns=3)
    side = int(x[0].size ** 0.5)
    assert len(ax.images) == 4
    np.testing.assert_array_equal(ax.images[1].get_array(), x[1].reshape(side, side))
    (left, right, bottom, top) = ax.images[3].get_extent()
    assert (left, right) == (0, 1) and bottom > top >= 1  # the second line, y running down


@pytest.mark.parametrize("shape", [(4, 10), (4, 8, 8, 3), (4, 2, 8), (0, 64), (4,)])
def test_images_refuse_rows_that_are_no_squares(shape):
    with pytest.raises(ValueError, match="no rows that are square"):
        plots.images(np.zeros(shape))


def test_a_picture_is_a_square_and_not_a_small_table():
    assert plots.image_side((64,)) == plots.image_side((8, 8)) == plots.image_side((8, 8, 1)) == 8
    assert [plots.image_side(row) for row in [(4,), (49,), (65,), (4, 16), (8, 8, 3), ()]] == [None] * 6


def test_weights_draw_those_of_the_first_dense():
    model = Sequential([Flatten(), Dense(64, 3), ReLU(), Dense(3, 2)], input_shape=(8, 8))
    W = model[1].params["W"]
    np.testing.assert_array_equal(plots.weights(model).images[2].get_array(), W[:, 2].reshape(8, 8).astype(np.float64))
    with pytest.raises(ValueError, match="make no pictures"):
        plots.weights(Sequential([Dense(10, 2)]))
    with pytest.raises(ValueError, match="make no pictures"):
        plots.weights(Sequential([ReLU()]))


def test_signed_pictures_are_white_at_zero():
    low, middle, high = plots.signed_colors()([0.0, 0.5, 1.0])
    assert tuple(middle) == pytest.approx((1, 1, 1, 1), abs=0.02)
    assert high[2] > high[0] and low[0] > low[2]
    scale = plots.images(np.linspace(-1, 3, 64)[None]).images[0].norm
    assert (scale.vmin, scale.vmax) == (-3, 3)


def test_reliability_counts_right_answers_by_confidence():
    ax = plots.reliability([0.2, 0.2, 0.8, 0.8], [False, False, True, False], bins=2)
    points = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in ax.lines if line.get_marker() == "o"]
    assert points == [(0.2, 0.0), (0.8, 0.5)]
