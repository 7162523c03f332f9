"""Shifts and rotations: what a loop over pixels says, whatever the layout; images move and keep what they show."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
from minigrad.data.augment import rotations, sample, shifts
from minigrad.saving.settings import in_words

seeds = st.integers(0, 2**32 - 1)
kinds = pytest.mark.parametrize("change", [shifts(2), shifts(0.7), rotations(15), rotations(180)], ids=repr)


def slowly(image, row, column):
    """One image (h, w) at places (h, w), pixel by pixel, by the definition."""
    h, w = image.shape

    def at(i, j):
        return image[i, j] if 0 <= i < h and 0 <= j < w else 0.0

    y = np.zeros(row.shape)
    for place in np.ndindex(row.shape):
        a, c = int(np.floor(row[place])), int(np.floor(column[place]))
        alpha, gamma = row[place] - a, column[place] - c
        y[place] = (1 - alpha) * ((1 - gamma) * at(a, c) + gamma * at(a, c + 1)) + alpha * (
            (1 - gamma) * at(a + 1, c) + gamma * at(a + 1, c + 1)
        )
    return y


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 2), st.integers(1, 2), seeds)
def test_sampling_is_bilinear(h, w, b, channels, seed):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(b, h, w, channels))
    row, column = rng.uniform(-3, h + 3, (b, h, w)), rng.uniform(-3, w + 3, (b, h, w))
    row[:, 0] = np.rint(row[:, 0])
    y = sample(images, row, column)
    for k in range(b):
        for channel in range(channels):
            expected = slowly(images[k, :, :, channel], row[k], column[k])
            np.testing.assert_allclose(y[k, :, :, channel], expected, rtol=1e-12, atol=1e-12)


@kinds
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seed=seeds, rows=st.integers(0, 5), side=st.integers(1, 6))
def test_every_layout_is_changed_alike_and_the_argument_is_not(change, dtype, seed, rows, side):
    x = np.random.default_rng(seed).random((rows, side * side)).astype(dtype)
    kept = x.copy()
    y = change(x, np.random.default_rng(seed))
    assert y.dtype == dtype and y.shape == x.shape and np.array_equal(x, kept)
    assert (y >= 0).all() and (y <= x.max(initial=0) * (1 + 1e-6)).all()
    images = x.reshape(rows, side, side)
    assert np.array_equal(change(images, np.random.default_rng(seed)), y.reshape(images.shape))
    both = np.stack([images, images * 2], axis=-1)
    expected = np.stack([y, y * 2], axis=-1).reshape(both.shape)
    assert np.array_equal(change(both, np.random.default_rng(seed)), expected)


@given(seeds)
def test_nothing_is_changed_by_nothing(seed):
    x = np.random.default_rng(seed).random((3, 16))
    for change in (shifts(0), rotations(0)):
        assert np.array_equal(change(x, np.random.default_rng(seed)), x)


class Chosen:
    """A generator that always draws the same."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def uniform(self, low, high, size):
        drawn = np.zeros(size) + np.array(self.numbers).reshape(-1, *[1] * (len(size) - 1))
        assert (drawn >= low).all() and (drawn <= high).all()
        return drawn


def test_a_shift_goes_down_and_right():
    x = np.zeros((1, 3, 4))
    x[0, 1, 1] = 1.0
    moved = shifts(2)(x, Chosen(1.0, 2.0))
    assert moved[0, 2, 3] == 1 and moved.sum() == 1
    assert shifts(2)(x, Chosen(-1.0, 0.5))[0].tolist() == [[0, 0.5, 0.5, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("side", [4, 5])
def test_a_quarter_turn_goes_against_the_clock(side):
    x = np.random.default_rng(0).random((1, side, side))
    np.testing.assert_allclose(rotations(90)(x, Chosen(90.0))[0], np.rot90(x[0]), atol=1e-12)
    np.testing.assert_allclose(rotations(90)(x, Chosen(-90.0))[0], np.rot90(x[0], -1), atol=1e-12)


@given(seeds)
def test_every_image_is_changed_on_its_own(seed):
    x = np.repeat(np.random.default_rng(seed).random((1, 25)), 8, axis=0)
    for change in (shifts(1), rotations(20)):
        assert len(np.unique(change(x, np.random.default_rng(seed)), axis=0)) == 8


def test_they_are_told_apart_and_train():
    assert repr(shifts(2)) == "shifts(2)" and in_words(shifts(2)) != in_words(shifts(1))
    x, labels = np.random.default_rng(0).random((40, 16)), np.arange(40) % 2
    histories = []
    for augment in (None, shifts(1), shifts(1), lambda x, rng: shifts(1)(rotations(10)(x, rng), rng)):
        model = Sequential([Dense(16, 1), Sigmoid()], seed=0)
        history = model.fit(x, labels, loss=BinaryCrossEntropy(), optimizer=SGD(0.1), epochs=2, augment=augment)
        histories.append(history.loss)
    assert histories[1] == histories[2]
    assert len({tuple(losses) for losses in histories}) == 3


def test_what_is_no_image_is_told():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"rows of 5 numbers are no square images; give x the shape \(rows, h, w\)"):
        shifts(1)(np.zeros((2, 5)), rng)
    with pytest.raises(ValueError, match=r"not \(1, 2, 3, 4\)"):
        rotations(1)(np.zeros((2, 1, 2, 3, 4)), rng)
    for wrong in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"shifts\\({wrong}\\)"):
            shifts(wrong)
        with pytest.raises(ValueError, match=f"rotations\\({wrong}\\)"):
            rotations(wrong)
