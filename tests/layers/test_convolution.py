"""Convolutions and pools: by their definition, in the program, and in words when they don't fit."""

import copy
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minigrad import (
    SGD,
    Adam,
    AvgPool2D,
    BatchNorm,
    CategoricalCrossEntropy,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    MeanSquaredError,
    ReLU,
    Residual,
    Sequential,
    Softmax,
    Tanh,
)
from minigrad.testing.strategies import layers_of
from tests.both_ways import fit_both_ways

WINDOWED = [Conv1D, Conv2D, MaxPool2D, AvgPool2D]


def repeated(mode, place, places):
    """The place of x that stands at another one, None for nothing, by the definition of each mode."""
    if 0 <= place < places:
        return place
    return {
        "zeros": None,
        "reflect": -place if place < 0 else 2 * (places - 1) - place,
        "replicate": min(max(place, 0), places - 1),
        "circular": place % places,
    }[mode]


def by_definition(layer, x, combine, empty):
    """y, one window after the other: combine(the window (…, C)) at each place, with `empty` outside of x."""
    margins, counts = layer.margins(x.shape[1:-1]), layer.counts(x.shape[1:])
    stride = [layer.stride or layer.window] if not hasattr(layer, "kernel_size") else [layer.stride]
    stride = np.broadcast_to(stride[0], layer.sliding)
    dilation = np.broadcast_to(getattr(layer, "dilation", 1), layer.sliding)
    rows = []
    for row in x:
        y = {}
        for place in np.ndindex(counts):
            window = np.full((*layer.window, x.shape[-1]), empty)
            for cell in np.ndindex(layer.window):
                at = np.array(place) * stride + np.array(cell) * dilation - [before for before, _ in margins]
                at = [repeated(layer.padding_mode, int(a), n) for a, n in zip(at, x.shape[1:-1], strict=True)]
                if None not in at:
                    window[cell] = row[tuple(at)]
            y[place] = combine(window)
        rows.append(np.array(list(y.values())).reshape(*counts, -1))
    return np.array(rows)


def convolved(layer):
    """What a convolution makes of one window: group by group, sums of products."""

    def combine(window):
        parts = np.split(window, layer.groups, axis=-1)
        kernels = np.split(layer.W, layer.groups, axis=-1)
        pairs = zip(parts, kernels, strict=True)
        y = [(part[..., None] * kernel).sum(axis=tuple(range(window.ndim))) for part, kernel in pairs]
        return np.concatenate(y) + (layer.b if layer.bias else 0)

    return combine


def cells(window):
    return tuple(range(window.ndim - 1))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_each_output_is_what_its_window_shows(data):
    layer = data.draw(st.one_of([layers_of(cls) for cls in WINDOWED]))
    channels = layer.channels or data.draw(st.integers(1, 3))
    x = np.random.default_rng(data.draw(st.integers(0, 99))).normal(
        size=(2, *[(9,), (7, 8)][layer.sliding - 1], channels)
    )
    combine, empty = {
        MaxPool2D: (lambda window: window.max(axis=cells(window)), -math.inf),
        AvgPool2D: (lambda window: np.nanmean(window, axis=cells(window)), math.nan),
    }.get(type(layer)) or (convolved(layer), 0.0)
    y, definite, seen = layer.forward(x), layer, x
    if isinstance(layer, AvgPool2D) and layer.count_include_pad:  # zeros of its own, but none that ceil_mode adds
        around = layer.margins(x.shape[1:-1]) if layer.margin is None else [(p, p) for p in layer.margin]
        seen = np.pad(x, [(0, 0), *around, (0, 0)])
        definite = AvgPool2D(layer.size, layer.stride, ceil_mode=layer.ceil_mode, count_include_pad=False)
    expected = by_definition(definite, seen, combine, empty)[(slice(None), *map(slice, y.shape[1:-1]))]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert layer.output_shape(x.shape[1:]) == y.shape[1:]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_transposed_convolution_is_the_transpose_of_one(data):
    """⟨A x, z⟩ = ⟨x, Aᵀ z⟩ for Aᵀ the Conv2D with the same W, and its size is one that this Conv2D makes into x's."""
    layer = data.draw(layers_of(ConvTranspose2D))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 7, 8, layer.in_channels))
    layer.b = np.zeros(layer.out_channels) if layer.bias else None
    conv = Conv2D(
        layer.out_channels, layer.in_channels, layer.kernel_size, stride=layer.stride, padding=layer.padding,
        dilation=layer.dilation, groups=layer.groups, bias=False,
    )  # fmt: skip
    conv.W = layer.W
    y = layer.forward(x)
    z = rng.normal(size=y.shape)
    assert layer.output_shape(x.shape[1:]) == y.shape[1:]
    assert conv.forward(z).shape == x.shape
    np.testing.assert_allclose((y * z).sum(), (x * conv.forward(z)).sum(), rtol=1e-9)
    np.testing.assert_allclose(layer.backward(z), conv.forward(z), rtol=1e-12, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_same_keeps_the_size_of_an_image(data):
    layer = Conv2D(1, 1, data.draw(st.integers(1, 6)), stride=2, dilation=data.draw(st.integers(1, 3)), padding="same")
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    assert layer.output_shape((height, width, 1)) == (math.ceil(height / 2), math.ceil(width / 2), 1)
    assert layer.forward(np.zeros((3, height, width, 1))).shape == (3, *layer.output_shape((height, width, 1)))


def test_a_convolution_along_one_axis_is_one_in_an_image_of_one_row():
    line, image = Conv1D(3, 4, 3, padding=1, seed=0), Conv2D(3, 4, (1, 3), padding=(0, 1), seed=0)
    image.W, image.b = line.W[None], line.b
    x, dy = np.random.default_rng(0).normal(size=(2, 6, 3)), np.random.default_rng(1).normal(size=(2, 6, 4))
    assert np.array_equal(line.forward(x), image.forward(x[:, None])[:, 0])
    assert np.array_equal(line.backward(dy), image.backward(dy[:, None])[:, 0])


def test_a_window_over_everything_is_dense():
    conv, dense = Conv2D(3, 4, (5, 6), seed=0), Dense(90, 4)
    dense.W = conv.W.reshape(90, 4)
    x, dy = np.random.default_rng(0).normal(size=(2, 5, 6, 3)), np.random.default_rng(1).normal(size=(2, 4))
    np.testing.assert_allclose(conv.forward(x)[:, 0, 0], dense.forward(x.reshape(2, 90)), rtol=1e-12)
    np.testing.assert_allclose(conv.backward(dy[:, None, None]).reshape(2, 90), dense.backward(dy), rtol=1e-12)
    np.testing.assert_allclose(conv.dW.reshape(90, 4), dense.dW, rtol=1e-12)


def test_each_group_draws_as_a_convolution_of_its_own():
    """In a depthwise one, each output has 9 inputs: the limit is that of 9 to 9, not of 9 to 9 * 64."""
    W = Conv2D(64, 64, 3, groups=64, seed=0).W
    assert 0.95 < abs(W).max() / math.sqrt(6 / (9 + 9)) <= 1


def test_of_equal_maxima_the_first_has_the_derivative():
    layer = MaxPool2D(2)
    layer.forward(np.array([[1, 3, 0, 0], [3, 3, 0, 0]], float).reshape(1, 2, 4, 1))
    dx = layer.backward(np.array([5.0, 7.0]).reshape(1, 1, 2, 1))
    assert np.array_equal(dx.reshape(2, 4), [[0, 5, 7, 0], [0, 0, 0, 0]])


def test_padding_is_never_the_maximum():
    y = MaxPool2D(3, 1, 1).forward(np.full((1, 2, 2, 1), -9.0))
    assert np.array_equal(y, np.full((1, 2, 2, 1), -9.0))


@pytest.mark.parametrize("layer", [Conv2D(2, 3, 2), MaxPool2D(2), AvgPool2D(2, padding=1), GlobalAvgPool2D()], ids=repr)
def test_single_precision_stays_and_pixels_are_numbers(layer):
    model = Sequential([copy.deepcopy(layer)], dtype=np.float32)
    x = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 2), np.uint8)
    y = model[0].forward(x.astype(np.float32))
    assert y.dtype == model[0].backward(np.ones_like(y)).dtype == np.float32
    np.testing.assert_allclose(layer.forward(x), layer.forward(x.astype(np.float64)), rtol=0)


@pytest.mark.parametrize(
    ("make", "row", "words"),
    [
        (lambda: Conv2D(3, 4, 5), (4, 9, 3), "windows of 5 x 5 do not fit into rows of shape (4, 9, 3), 4 x 9 with"),
        (lambda: Conv2D(1, 1, 3, dilation=2, padding=1), (2, 9, 1), "windows of 5 x 5 do not fit"),
        (lambda: Conv2D(3, 4, 3), (9, 9, 1), "takes images (H, W, C) of 3 channels, not of 1: channels are the last"),
        (lambda: Conv2D(3, 4, 3), (400,), "takes images (H, W, C), not rows of shape (400,)"),
        (lambda: Conv1D(3, 4, 3), (9, 9, 3), "takes lines (T, C), not rows of shape (9, 9, 3)"),
        (lambda: MaxPool2D(3), (2, 4, 1), "windows of 3 x 3 do not fit"),
        (lambda: MaxPool2D(2, 1, 1, dilation=2), (1, 4, 1), "some windows show nothing but padding"),
        (lambda: Conv2D(1, 1, 3, padding=2, padding_mode="reflect"), (2, 4, 1), "rows of shape (2, 4, 1) have too few"),
        (lambda: ConvTranspose2D(1, 1, 2, padding=2), (3, 4, 1), "its padding cuts off all"),
        (lambda: ConvTranspose2D(3, 1, 2), (3, 4, 1), "takes images (H, W, C) of 3 channels, not of 1"),
        (lambda: GlobalAvgPool2D(), (400,), "takes images (H, W, C), not rows of shape (400,)"),
    ],
)
def test_rows_that_do_not_fit_are_named(make, row, words):
    for run in (lambda: make().output_shape(row), lambda: make().forward(np.zeros((2, *row)))):
        with pytest.raises(ValueError, match=re.escape(words)):
            run()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Conv2D(4, 6, 3, groups=3), "groups=3 must divide both numbers of channels"),
        (lambda: Conv2D(0, 6, 3), "must be at least 1"),
        (lambda: Conv2D(1, 1, (3, 3, 3)), "size is a whole number or 2 of them, of at least 1, not (3, 3, 3)"),
        (lambda: Conv1D(1, 1, 3, stride=0), "stride is a whole number of at least 1, not 0"),
        (lambda: Conv2D(1, 1, 3, padding=-1), "padding is a whole number or 2 of them, of at least 0, not -1"),
        (lambda: Conv2D(1, 1, 3, padding="full"), 'padding is "valid", "same" or numbers, not \'full\''),
        (lambda: Conv2D(1, 1, 3, padding_mode="mirror"), "padding_mode is one of zeros, reflect, replicate, circular"),
        (lambda: ConvTranspose2D(1, 1, 3, stride=2, output_padding=2), "must be less than the stride, or than the"),
        (lambda: ConvTranspose2D(1, 1, 3, stride=2, padding="same", output_padding=1), "leave output_padding out"),
        (lambda: MaxPool2D(2, padding=2), "MaxPool2D(2, padding=2): padding must be less than the window"),
    ],
)
def test_numbers_that_make_no_layer_are_named(make, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        make()


def test_an_image_model_says_which_layer_does_not_fit():
    with pytest.raises(ValueError, match="layer 3 of 3, Conv2D"):
        Sequential([Conv2D(1, 2, 3), MaxPool2D(2), Conv2D(2, 2, 5)], input_shape=(9, 9, 1))


IMAGES = {
    "plain": lambda: [Conv2D(2, 3, 3), ReLU(), Flatten(), Dense(4 * 4 * 3, 3)],
    "same": lambda: [Conv2D(2, 3, 3, padding="same"), ReLU(), MaxPool2D(2), Conv2D(3, 3, 2), GlobalAvgPool2D()],
    "strided": lambda: [Conv2D(2, 4, 3, stride=2, padding=1), Tanh(), Conv2D(4, 3, 3), Flatten()],
    "grouped": lambda: [Conv2D(2, 4, 2, groups=2), Tanh(), Conv2D(4, 3, 2, dilation=2, bias=False), GlobalAvgPool2D()],
    "overlapping": lambda: [
        MaxPool2D(3, 1, 1),
        Conv2D(2, 3, 3),
        MaxPool2D(3, 1),
        AvgPool2D(2, 1, 1),
        GlobalAvgPool2D(),
    ],
    "made larger": lambda: [
        Conv2D(2, 2, 3, padding=2, padding_mode="reflect"),
        MaxPool2D(2, 3, dilation=2, ceil_mode=True),
        ConvTranspose2D(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        AvgPool2D(3, 2, 1, ceil_mode=True),
        Conv2D(4, 3, 2, padding=1, padding_mode="circular"),
        AvgPool2D(2, 2, 1, count_include_pad=False),
        Conv2D(3, 3, 2, padding=1, padding_mode="replicate"),
        GlobalAvgPool2D(),
    ],
    "residual": lambda: [Residual(Conv2D(2, 2, 3, padding="same"), BatchNorm(2), ReLU()), Conv2D(2, 3, 6), Flatten()],
}


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, np.float32) for name in IMAGES), ("plain", np.float64), ("made larger", np.float64)]
)
def test_a_program_is_the_plain_path_bit_for_bit(name, dtype, tmp_path):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(10, 6, 6, 2)), np.eye(3)[rng.integers(3, size=10)]
    model = Sequential([*IMAGES[name](), Softmax()], dtype=dtype, seed=0, input_shape=x.shape[1:])
    recorded = model.program(CategoricalCrossEntropy(), SGD(0.1), batch_size=4)
    assert recorded.opaque == {}
    recorded.save(tmp_path / "step.py")  # there is nothing in it that only lives in memory
    options = {"loss": CategoricalCrossEntropy(), "epochs": 3, "batch_size": 4}
    fit_both_ways(lambda: copy.deepcopy(model), x, t, lambda: Adam(0.01), **options)


def test_a_line_is_recorded_whole():
    model = Sequential([Conv1D(2, 3, 3, padding="same"), Tanh(), Flatten(), Dense(15, 1)], input_shape=(5, 2))
    assert model.program(MeanSquaredError(), SGD(0.1), batch_size=4).opaque == {}
