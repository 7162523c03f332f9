"""Layers that look across steps: padding, cut gradients, both directions, positions, and what they can learn."""

import copy

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import (
    GELU,
    GRU,
    LSTM,
    PADDING,
    Adam,
    Bidirectional,
    CategoricalCrossEntropy,
    Dense,
    Embedding,
    LayerNorm,
    MultiHeadAttention,
    PositionalEncoding,
    Residual,
    Sequential,
    SimpleRNN,
    Softmax,
    load,
)
from tests.both_ways import fit_both_ways

RECURRENT = [SimpleRNN, LSTM, GRU]
recurrent = pytest.mark.parametrize("cls", RECURRENT)


@given(st.sampled_from(RECURRENT), st.booleans(), st.integers(1, 5), st.integers(0, 999))
def test_padding_is_as_if_there_were_no_such_step(cls, sequences, real_steps, seed):
    rng = np.random.default_rng(seed)
    layer = cls(3, 2, return_sequences=sequences, padding=0.5, seed=1)
    plain = cls(3, 2, return_sequences=sequences, seed=1)
    where = np.sort(rng.permutation(6)[:real_steps])
    x = np.full((4, 6, 3), 0.5)
    x[:, where] = rng.normal(size=(4, real_steps, 3))
    y, expected = layer.forward(x), plain.forward(x[:, where])
    dy = rng.normal(size=expected.shape)
    sent = np.zeros_like(y)
    if sequences:
        # A step of padding repeats the one before, and what it is sent, that one is sent.
        assert np.array_equal(y, np.insert(expected, 0, 0, axis=1)[:, np.searchsorted(where, np.arange(6), "right")])
        sent[:, where] = dy
    else:
        assert np.array_equal(y, expected)
        sent = dy
    dx, plain_dx = layer.backward(sent), plain.backward(dy)
    np.testing.assert_allclose(dx[:, where], plain_dx, rtol=1e-12, atol=1e-14)
    assert not np.delete(dx, where, axis=1).any()
    for name, gradient in plain.grads.items():
        np.testing.assert_allclose(layer.grads[name], gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_sees_no_padding_and_a_causal_one_nothing_later(causal):
    rng = np.random.default_rng(0)
    layer, x = MultiHeadAttention(4, 2, causal=causal, padding=0.0, seed=1), rng.normal(size=(3, 6, 4))
    x[:, 4:], x[2] = 0, 0
    y = layer.forward(x)
    dx = layer.backward(rng.normal(size=y.shape))
    np.testing.assert_allclose(y[:2, :4], layer.predict(x[:2, :4]), rtol=1e-13, atol=1e-13)
    assert not y[:, 4:].any() and not y[2].any() and not dx[:, 4:].any() and not dx[2].any()
    other = x.copy()
    other[:, 3] += 1
    same = (layer.predict(other) == y)[:2, :3].all()
    assert same == causal


@recurrent
def test_truncated_gradients_are_those_of_the_last_steps(cls):
    rng = np.random.default_rng(0)
    whole, cut = cls(3, 2, seed=1), cls(3, 2, truncate=2, seed=1)
    x, dy = rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 2))
    assert np.array_equal(whole.forward(x), cut.forward(x))
    dx, dx_cut = whole.backward(dy), cut.backward(dy)
    np.testing.assert_allclose(dx_cut[:, 3:], dx[:, 3:], rtol=1e-12)
    assert not dx_cut[:, :3].any() and dx[:, :3].any()
    every = cls(3, 2, truncate=1, return_sequences=True, seed=1)
    every.forward(x)
    dx = every.backward(np.repeat(dy[:, None], 5, axis=1))
    alone = [cls(3, 2, truncate=1, seed=1) for _ in range(5)]
    for t, layer in enumerate(alone):
        layer.forward(x[:, : t + 1])
        np.testing.assert_allclose(layer.backward(dy)[:, t], dx[:, t], rtol=1e-12)


@recurrent
def test_both_directions_are_two_layers(cls):
    layer = Bidirectional(cls(3, 2, return_sequences=True, seed=1))
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    y = layer.forward(x)
    assert np.array_equal(y[..., :2], layer.layers[0].predict(x))
    assert np.array_equal(y[..., 2:], layer.layers[1].predict(x[:, ::-1])[:, ::-1])
    assert not np.array_equal(layer.layers[0].W, layer.layers[1].W)


def test_positions_are_waves_or_learned():
    x = np.zeros((2, 7, 4))
    y = PositionalEncoding(4).forward(x)
    np.testing.assert_allclose(y[1, 3], [np.sin(3), np.cos(3), np.sin(0.03), np.cos(0.03)])
    learned = PositionalEncoding(4, learned=Embedding(9, 4, seed=0))
    assert np.array_equal(learned.forward(x)[0], learned.learned.W[:7])
    with pytest.raises(ValueError, match="positions for 9 steps, not for 10"):
        learned.forward(np.zeros((2, 10, 4)))
    padded = PositionalEncoding(4, padding=0.0).forward(np.where(np.arange(7)[:, None] < 3, 1.0, x))
    assert not padded[:, 3:].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(0, 3), "both widths must be at least 1"),
        (lambda: GRU(2, 3, truncate=0), "truncate=0 must be at least one step"),
        (lambda: GRU(2, 3, padding=np.nan), "padding=nan must be a finite number"),
        (lambda: MultiHeadAttention(6, 4), "the heads must divide the features"),
        (lambda: Embedding(3, 2, padding=3), "padding=3 is none of its codes"),
        (lambda: PositionalEncoding(3, learned=Embedding(5, 2)), "widths must be alike"),
        (lambda: LSTM(2, 3).forward(np.zeros((4, 2))), r"takes rows of steps \(T, 2\), not rows of shape \(2,\)"),
        (lambda: Sequential([LSTM(2, 3), LSTM(3, 1)], input_shape=(5, 2)), r"layer 2 of 2, LSTM\(3, 1\).*from layer 1"),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    with pytest.raises(TypeError, match="takes a SimpleRNN, LSTM or GRU"):
        Bidirectional(Dense(2, 3))


def reversed_rows():
    """Rows of codes with padding (0) behind them, and as labels the last real code of each row, at every step."""
    rng = np.random.default_rng(1)
    x, lengths = rng.integers(1, 6, (96, 8)), rng.integers(2, 9, 96)
    x[np.arange(8) >= lengths[:, None]] = 0
    t = np.where(x == 0, PADDING, x[np.arange(96), lengths - 1][:, None])
    return x, t


BODIES = {
    "recurrent": [Bidirectional(GRU(8, 12, return_sequences=True, padding=0.0)), Dense(24, 6)],
    "transformer": [
        PositionalEncoding(8, padding=0.0),
        Residual(MultiHeadAttention(8, 2, padding=0.0)),
        Residual(LayerNorm(8), Dense(8, 16), GELU(), Dense(16, 8)),
        Dense(8, 6),
    ],
}


@pytest.mark.parametrize("name", BODIES)
def test_a_training_is_recorded_with_the_same_bits_saved_and_goes_on(name, tmp_path):
    x, t = reversed_rows()

    def make():
        return Sequential([Embedding(6, 8, padding=0), *copy.deepcopy(BODIES[name]), Softmax()], seed=0)

    options = {"loss": CategoricalCrossEntropy(), "epochs": 25, "validation": (x, t)}
    model, history = fit_both_ways(make, x, t, lambda: Adam(0.01), **options)
    assert history.metrics["validation_accuracy"][-1] > 0.5  # by chance 0.2
    model.save(tmp_path / "m.safetensors")
    assert np.array_equal(load(tmp_path / "m.safetensors").predict(x), model.predict(x))


def test_a_recording_is_short():
    model = Sequential([LSTM(4, 3), Dense(3, 6), Softmax()], input_shape=(40, 4))
    short = Sequential([LSTM(4, 3), Dense(3, 6), Softmax()], input_shape=(20, 4))
    lines, fewer = (len(m.program(CategoricalCrossEntropy(), Adam()).lines) for m in (model, short))
    assert (lines - fewer) / 20 <= 22  # lines for each step, forward and backward
