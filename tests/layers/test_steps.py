"""The last axis is features everywhere: rows of steps go through layers, losses, labels and metrics as rows do."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import (
    PADDING,
    Adam,
    BatchNorm,
    CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits,
    Conv1D,
    Dense,
    Embedding,
    Flatten,
    LayerNorm,
    LogSoftmax,
    MeanSquaredError,
    NegativeLogLikelihood,
    PReLU,
    ReLU,
    Residual,
    RMSNorm,
    Sequential,
    Softmax,
    Standardize,
    Tanh,
)

RNG = np.random.default_rng(0)
AT_EVERY_STEP = [
    lambda: Dense(4, 3, seed=1),
    lambda: Dense(4, 2, bias=False, seed=1),
    lambda: Softmax(),
    lambda: LogSoftmax(),
    lambda: PReLU(4),
    lambda: BatchNorm(4),
    lambda: LayerNorm(4),
    lambda: RMSNorm(4),
    lambda: Residual(Dense(4, 4, seed=1), Tanh()),
    lambda: Standardize(4).fit(np.arange(12).reshape(3, 4) ** 2),
]
OF_CLASSES = [
    (CategoricalCrossEntropy(0.1), Softmax()),
    (CategoricalCrossEntropyOnLogits(0.1), None),
    (NegativeLogLikelihood(), LogSoftmax()),
]


@pytest.mark.parametrize("make", AT_EVERY_STEP)
def test_steps_go_through_a_layer_as_rows_do(make):
    rows, steps, x = make(), make(), RNG.normal(size=(5, 2, 3, 4))
    y = steps.forward(x)
    dy = RNG.normal(size=y.shape)
    dx = steps.backward(dy)
    expected = rows.forward(x.reshape(-1, 4))
    dx_of_rows = rows.backward(dy.reshape(expected.shape))
    np.testing.assert_allclose(y.reshape(expected.shape), expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(dx.reshape(dx_of_rows.shape), dx_of_rows, rtol=1e-12, atol=1e-12)
    for name, gradient in rows.grads.items():
        np.testing.assert_allclose(steps.grads[name], gradient, rtol=1e-12, atol=1e-12)
    assert steps.output_shape((2, 3, 4)) == y.shape[1:]


@given(st.sampled_from(OF_CLASSES), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_a_label_for_each_step_is_its_one_hot_row_and_padding_none(case, rows, steps, seed):
    (loss, last), rng = case, np.random.default_rng(seed)
    p, t = rng.normal(size=(rows, steps, 3)), rng.integers(PADDING, 3, (rows, steps))
    p = p if last is None else last.forward(p)
    one_hot = np.eye(4)[t][..., :3]
    assert loss.forward(p, t) == loss.forward(p, one_hot)
    dp = loss.backward(p, t)
    assert np.array_equal(dp, loss.backward(p, one_hot))
    known = t != PADDING
    assert not dp[~known].any()
    # Without the steps of padding: the mean over rows of the sum over steps, as a mean over steps.
    if known.any():
        among = known.sum() / rows
        assert loss.forward(p, t) == pytest.approx(loss.forward(p[known], one_hot[known]) * among)
        np.testing.assert_allclose(dp[known], loss.backward(p[known], one_hot[known]) * among, rtol=1e-12)


@pytest.mark.parametrize("wrong", [3, -2, 0.5, np.nan])
def test_a_label_that_is_none_is_named(wrong):
    x, t = RNG.normal(size=(4, 5, 2)), RNG.integers(0, 3, (4, 5)).astype(float)
    t[2, 1] = wrong
    model = Sequential([Dense(2, 3), Softmax()])
    for way in (
        lambda: model.fit(x, t, loss=CategoricalCrossEntropy(), optimizer=Adam(), epochs=1),
        lambda: CategoricalCrossEntropy().forward(model.predict(x), t),
    ):
        with pytest.raises(ValueError, match=r"t is .* row 2(, step 1: the labels of 3 outputs|, column 1)"):
            way()


def shifted():
    """Rows of codes, and as labels the code before each of them; before the first there is none."""
    x = np.random.default_rng(1).integers(0, 4, (60, 6))
    t = np.roll(x, 1, axis=1)
    t[:, 0] = PADDING
    model = Sequential([Embedding(4, 5), Conv1D(5, 8, 3, padding="same"), ReLU(), Dense(8, 4), Softmax()], seed=0)
    return model, x, t


def trained(t, **options):
    model, x, _ = shifted()
    return model, model.fit(x, t, loss=CategoricalCrossEntropy(), optimizer=Adam(0.02), epochs=30, **options)


def test_a_training_on_labels_of_steps_is_that_on_their_one_hot_rows():
    _, x, t = shifted()
    (model, history), (_, of_one_hot) = trained(t, validation=0.2), trained(np.eye(5)[t][..., :4], validation=0.2)
    assert history.loss == of_one_hot.loss
    assert history.validation_loss == of_one_hot.validation_loss
    assert history.metrics == of_one_hot.metrics
    assert history.metrics["validation_accuracy"][-1] == 1.0  # though at the first step nothing is right
    assert np.array_equal(model.predict_classes(x)[:, 1:], t[:, 1:])


def test_numbers_at_every_step_may_lack_the_axis_of_one_output():
    x = RNG.normal(size=(20, 5, 3))
    histories = [
        Sequential([Dense(3, 1)], seed=0).fit(x, t, loss=MeanSquaredError(), optimizer=Adam(), epochs=2)
        for t in (x.sum(axis=-1), x.sum(axis=-1, keepdims=True))
    ]
    assert histories[0].loss == histories[1].loss


def test_a_chain_is_checked_where_the_number_of_steps_is_not_known_yet():
    model = Sequential([Dense(3, 8), Conv1D(8, 4, 3), Flatten(), Dense(16, 2)])
    assert model.input_shape is None and model.row_axes == 2
    assert model.output_shape((6, 3)) == (2,)
    assert Sequential([model]).output_shape((6, 3)) == (2,)
    with pytest.raises(ValueError, match=r"layer 2 of 2, Conv1D\(7, 4, 3\).*from layer 1"):
        Sequential([Dense(3, 8), Conv1D(7, 4, 3)])
    with pytest.raises(ValueError, match="takes lines"):
        model.predict(np.zeros((2, 3)))
