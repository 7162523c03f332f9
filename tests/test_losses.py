"""What every loss promises: its derivative, the mean over rows of the sum over outputs, weights, and finite numbers."""

import copy
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minigrad import (
    SGD,
    Adam,
    BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits,
    CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits,
    Concatenate,
    CosineSimilarity,
    Dense,
    GaussianNLL,
    Hinge,
    Huber,
    Identity,
    KLDivergence,
    LogSoftmax,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
    Poisson,
    Quantile,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    SumOfLosses,
    Tanh,
)
from minigrad.losses import LabelSmoothing
from tests.both_ways import fit_both_ways


def probabilities(rng, shape):
    return rng.uniform(0.05, 0.95, shape)


def logits(rng, shape):
    return rng.normal(0, 3, shape)


def logarithms(rng, shape):
    return -rng.exponential(size=shape)


def scores(rng, shape):
    """On either side of the margin, and not on it: there the derivative of a hinge jumps."""
    inside, outside = rng.uniform(0.1, 0.9, shape), rng.uniform(1.1, 3, shape)
    return np.where(rng.random(shape) < 0.5, inside, outside) * rng.choice([-1, 1], shape)


def rates(rng, shape):
    return rng.uniform(0.5, 5, shape)


def counts(rng, p, loss):
    return rng.poisson(2, p.shape)


def signs(rng, p, loss):
    return rng.integers(-1, 2, p.shape)


def shares(rng, p, loss):
    return np.where(rng.random(p.shape) < 0.5, rng.integers(2, size=p.shape), rng.random(p.shape))


def distributions(rng, p, loss):
    soft, hard = rng.dirichlet(np.ones(p.shape[1]), len(p)), np.eye(p.shape[1])[rng.integers(p.shape[1], size=len(p))]
    return np.where(rng.random((len(p), 1)) < 0.5, hard, soft)


def off_the_kinks(rng, p, loss):
    """Targets whose distance from p is neither 0 nor, for Huber, δ: there the derivative jumps, or its own does."""
    near, far = rng.uniform(0.1, 0.9, p.shape), rng.uniform(1.1, 3, p.shape)
    distance = np.where(rng.random(p.shape) < 0.5, near, far) * getattr(loss, "delta", 1.0)
    return p + distance * rng.choice([-1, 1], p.shape)


def means_and_variances(rng, shape):
    return np.concatenate([rng.normal(size=shape), rng.uniform(0.1, 3, shape)], axis=1)


def of_means(rng, p, loss):
    return rng.normal(size=(len(p), p.shape[1] // 2))


class Row(NamedTuple):
    losses: st.SearchStrategy[Loss]
    predictions: object
    targets: object


TABLE = {
    BinaryCrossEntropy: Row(st.builds(BinaryCrossEntropy), probabilities, shares),
    BinaryCrossEntropyOnLogits: Row(st.builds(BinaryCrossEntropyOnLogits), logits, shares),
    CategoricalCrossEntropy: Row(st.builds(CategoricalCrossEntropy), probabilities, distributions),
    CategoricalCrossEntropyOnLogits: Row(st.builds(CategoricalCrossEntropyOnLogits), logits, distributions),
    NegativeLogLikelihood: Row(st.builds(NegativeLogLikelihood), logarithms, distributions),
    KLDivergence: Row(st.builds(KLDivergence), probabilities, distributions),
    Hinge: Row(st.builds(Hinge), scores, signs),
    Poisson: Row(st.builds(Poisson), rates, counts),
    MeanSquaredError: Row(st.builds(MeanSquaredError), logits, off_the_kinks),
    MeanAbsoluteError: Row(st.builds(MeanAbsoluteError), logits, off_the_kinks),
    Huber: Row(st.builds(Huber, st.floats(0.1, 10)), logits, off_the_kinks),
    CosineSimilarity: Row(st.builds(CosineSimilarity), logits, off_the_kinks),
    Quantile: Row(st.builds(Quantile, st.floats(0.05, 0.95)), logits, off_the_kinks),
    GaussianNLL: Row(st.builds(GaussianNLL), means_and_variances, of_means),
    SumOfLosses: Row(
        st.builds(lambda w: SumOfLosses([(GaussianNLL(), 2), (MeanSquaredError(), 1, w)]), st.floats(0.1, 3)),
        lambda rng, shape: np.concatenate([rates(rng, (shape[0], 2)), logits(rng, (shape[0], 1))], axis=1),
        lambda rng, p, loss: rng.normal(size=(len(p), 2)),
    ),
}

every_loss = pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
OF_OTHER_TARGETS = (GaussianNLL, SumOfLosses)
every_plain_loss = pytest.mark.parametrize(
    "kind", [kind for kind in TABLE if kind not in OF_OTHER_TARGETS], ids=lambda kind: kind.__name__
)
DTYPES = [np.float32, np.float64]
some = settings(max_examples=settings.default.max_examples // 2)  # of each kind
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)


def drawn(data, kind, dtype=np.float64, outputs=None):
    """A loss of this kind, p and t of a drawn size, weights with a zero among them, and the generator."""
    row, rng = TABLE[kind], np.random.default_rng(data.draw(seeds, "seed"))
    loss, rows = data.draw(row.losses, "loss"), data.draw(sizes, "rows")
    p = row.predictions(rng, (rows, outputs or data.draw(sizes, "outputs")))
    t, w = row.targets(rng, p, loss), rng.uniform(0.1, 3, rows)
    w[1:2] = 0
    return loss, p.astype(dtype), t.astype(dtype), w.astype(dtype), rng


def subclasses(cls):
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def test_every_loss_of_the_package_has_a_row():
    own = {cls for cls in subclasses(Loss) if cls.__module__.split(".")[0] == "minigrad"}
    assert own ^ {Loss, *TABLE} == set(), "give it a row in TABLE: its arguments, predictions and targets"


def derivative(f, h=1e-4):
    """f'(0) by central differences of two widths, extrapolated to none (Richardson)."""
    wide, narrow = ((f(s) - f(-s)) / (2 * s) for s in (h, h / 2))
    return (4 * narrow - wide) / 3


@every_loss
@given(st.data(), st.booleans())
def test_backward_is_the_derivative_of_forward(kind, data, weighted):
    loss, p, t, w, rng = drawn(data, kind)
    direction, weights = rng.normal(size=p.shape), (w,) if weighted else ()
    numeric = derivative(lambda s: loss.forward(p + s * direction, t, *weights))
    analytic = loss.backward(p, t, *weights) * direction
    assert analytic.sum() == pytest.approx(numeric, rel=1e-8, abs=1e-8 * np.abs(analytic).sum())


@every_loss
@some
@given(st.data())
def test_a_loss_is_the_mean_over_rows(kind, data):
    loss, p, t, _, _ = drawn(data, kind)
    rows = [loss.forward(p[b : b + 1], t[b : b + 1]) for b in range(len(p))]
    slopes = [loss.backward(p[b : b + 1], t[b : b + 1]) for b in range(len(p))]
    assert loss.forward(p, t) == pytest.approx(np.mean(rows), rel=1e-12, abs=1e-15)
    np.testing.assert_allclose(loss.backward(p, t), np.concatenate(slopes) / len(p), rtol=1e-12, atol=1e-15)
    twice = np.concatenate([p, p]), np.concatenate([t, t])
    assert loss.forward(*twice) == pytest.approx(loss.forward(p, t), rel=1e-12, abs=1e-15)


@every_loss
@some
@given(st.data(), st.sampled_from(DTYPES))
def test_sample_weights_of_one_are_no_weights_bit_for_bit(kind, data, dtype):
    loss, p, t, w, _ = drawn(data, kind, dtype)
    assert loss.forward(p, t, np.ones_like(w)) == loss.forward(p, t)
    assert np.array_equal(loss.backward(p, t, np.ones_like(w)), loss.backward(p, t))


@every_loss
@some
@given(st.data())
def test_a_sample_weight_counts_how_often_a_row_stands_there(kind, data):
    loss, p, t, _, rng = drawn(data, kind)
    w = rng.integers(0, 4, len(p))
    w[0] += 1
    repeated = np.repeat(p, w, axis=0), np.repeat(t, w, axis=0)
    assert loss.forward(p, t, w) == pytest.approx(loss.forward(*repeated), rel=1e-12, abs=1e-15)
    dp = np.zeros_like(p)
    np.add.at(dp, np.repeat(np.arange(len(p)), w), loss.backward(*repeated))
    np.testing.assert_allclose(loss.backward(p, t, w), dp, rtol=1e-12, atol=1e-15)
    assert not loss.backward(p, t, w)[w == 0].any()


@every_loss
@some
@given(st.data(), st.sampled_from(DTYPES), st.booleans())
def test_results_have_the_promised_kinds_and_arguments_are_only_read(kind, data, dtype, weighted):
    loss, p, t, w, _ = drawn(data, kind, dtype)
    arguments = (p, t, w) if weighted else (p, t)
    before = [a.copy() for a in arguments]
    for a in arguments:
        a.flags.writeable = False
    value, dp = loss.forward(*arguments), loss.backward(*arguments)
    assert type(value) is float
    assert (dp.shape, dp.dtype) == (p.shape, p.dtype)
    assert not any(np.may_share_memory(dp, a) for a in arguments)
    assert all(map(np.array_equal, arguments, before))
    assert value == loss.forward(*arguments)
    assert np.array_equal(dp, loss.backward(*arguments))


@every_loss
@some
@given(st.data())
def test_targets_may_be_integers_booleans_or_lists(kind, data):
    loss, p, t, w, _ = drawn(data, kind, np.float32)
    for yes_no in ((t > t.mean()), (t > t.mean()).astype(np.uint8), (t > t.mean()).astype(int).tolist()):
        expected = loss.forward(p, np.asarray(yes_no, np.float32), w)
        assert loss.forward(p, yes_no, w) == expected == loss.forward(p, yes_no, w.tolist())
        assert loss.backward(p, yes_no, w.tolist()).dtype == np.float32


@every_plain_loss
def test_predictions_may_be_lists_of_integers(kind):
    loss, one = kind(), -1 if kind is NegativeLogLikelihood else 1
    p, t = [[one, 0], [0, one]], [[0, 1], [0, 1]]
    assert loss.forward(p, t) == loss.forward(one * np.eye(2), t)
    assert loss.backward(p, t).dtype == np.float64


ABSORBING = {
    BinaryCrossEntropy: (Sigmoid, BinaryCrossEntropyOnLogits),
    CategoricalCrossEntropy: (Softmax, CategoricalCrossEntropyOnLogits),
}


@pytest.mark.parametrize("kind", ABSORBING)
@pytest.mark.parametrize("dtype", DTYPES)
@given(st.data())
def test_the_absorbed_loss_is_the_composed_one(kind, dtype, data):
    _, z, t, w, _ = drawn(data, ABSORBING[kind][1], dtype)
    loss, layer = kind(), ABSORBING[kind][0]()
    z = np.clip(z, -6, 6)
    absorbed, p = loss.absorb(layer), layer.forward(z)
    # Of the composed pair, log p near 1 and 1 - p keep fewer digits: at z = 6, 1 - p is 1/400.
    tolerance = (8 if kind is CategoricalCrossEntropy else 400) * 4 * float(np.finfo(dtype).eps)
    assert absorbed.forward(z, t, w) == pytest.approx(loss.forward(p, t, w), rel=tolerance, abs=tolerance)
    composed = layer.backward(loss.backward(p, t, w))
    np.testing.assert_allclose(absorbed.backward(z, t, w), composed, rtol=tolerance, atol=tolerance)


@every_plain_loss
def test_no_other_pair_is_absorbed(kind):
    class Own(Sigmoid):
        """A Sigmoid of one's own may compute something else."""

    for layer in (Sigmoid(), Softmax(), Tanh(), ReLU(), Identity(), Dense(2, 2), LogSoftmax(), Own()):
        absorbed = kind().absorb(layer)
        expected = ABSORBING.get(kind, (None, None))
        assert type(absorbed) is (expected[1] if type(layer) is expected[0] else type(None))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("z", [40.0, 1000.0])
def test_the_absorbed_loss_is_right_where_the_composed_one_breaks(dtype, z):
    at, no = np.array([[z]], dtype), np.zeros((1, 1), dtype)
    binary = BinaryCrossEntropyOnLogits()
    assert (binary.forward(at, no), binary.backward(at, no)) == (z, 1.0)
    assert (binary.forward(-at, no + 1), binary.backward(-at, no + 1)) == (z, -1.0)
    pair, second = np.array([[z, 0]], dtype), np.array([[0, 1]], dtype)
    categorical = CategoricalCrossEntropyOnLogits()
    assert categorical.forward(pair, second) == z
    np.testing.assert_allclose(categorical.backward(pair, second), [[1, -1]], rtol=1e-15)
    layer, loss = Sigmoid(), BinaryCrossEntropy()
    p = layer.forward(at)
    assert (p, loss.forward(p, no)) == (1, 100)  # p is rounded, and log(1 - p) clamped
    assert not 0.5 < layer.backward(loss.backward(p, no)) < 2


@pytest.mark.parametrize("kind", [BinaryCrossEntropyOnLogits, CategoricalCrossEntropyOnLogits])
@pytest.mark.parametrize("dtype", DTYPES)
@given(st.data())
def test_all_finite_logits_give_finite_results_without_a_warning(kind, dtype, data):
    top = float(np.finfo(dtype).max) / 16  # the sum over at most nine outputs is a float, too
    wild = st.floats(-top, top, width=np.finfo(dtype).bits) | st.floats(-200, 200, width=32)
    rows = data.draw(
        st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(wild, min_size=n, max_size=n), min_size=1, max_size=3))
    )
    z, rng = np.array(rows, dtype), np.random.default_rng(0)
    t = TABLE[kind].targets(rng, z, None).astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        assert 0 <= kind().forward(z, t) < np.inf
        assert (np.abs(kind().backward(z, t)) <= 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loss_of_the_largest_logits_is_exact(dtype):
    top = np.finfo(dtype).max
    with np.errstate(all="raise", under="ignore"):
        for t in (0.0, 1.0):
            for z in (top, -top):
                expected = float(top) if (z > 0) != (t == 1) else 0.0
                assert BinaryCrossEntropyOnLogits().forward(np.array([[z]]), np.array([[t]], dtype)) == expected
        z, sure = np.array([[top, -top, 0]], dtype), np.array([[1, 0, 0]], dtype)
        assert CategoricalCrossEntropyOnLogits().forward(z, sure) == 0
        assert not CategoricalCrossEntropyOnLogits().backward(z, sure).any()
        assert CategoricalCrossEntropyOnLogits().forward(z, sure[:, ::-1]) == float(top)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_target_just_below_one_keeps_its_digits(dtype):
    t = np.nextafter(dtype(1), dtype(0))
    value = BinaryCrossEntropyOnLogits().forward(np.array([[1e6]], dtype), np.array([[t]]))
    assert value == pytest.approx(1e6 * (1 - float(t)), rel=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", DTYPES)
def test_logs_are_clamped_and_denominators_never_zero(dtype):
    tiny = np.finfo(dtype).tiny
    with np.errstate(all="raise", under="ignore"):
        for p, t, value, slope in ((0, 1, 100, -1 / tiny), (1, 0, 100, 1 / tiny), (0, 0, 0, 1), (1, 1, 0, -1)):
            at = np.array([[p]], dtype), np.array([[t]], dtype)
            assert BinaryCrossEntropy().forward(*at) == value
            assert BinaryCrossEntropy().backward(*at) == slope
        wrong = np.array([[0, 1]], dtype), np.array([[1, 0]], dtype)
        assert CategoricalCrossEntropy().forward(*wrong) == 100
        assert np.array_equal(CategoricalCrossEntropy().backward(*wrong), [[-1 / tiny, 0]])


def admitted(kind):
    return -0.5 if kind is NegativeLogLikelihood else 0.5


@every_plain_loss
@pytest.mark.parametrize("method", ["forward", "backward"])
def test_shapes_that_do_not_fit_are_an_error_that_says_how(kind, method):
    call, good = getattr(kind(), method), admitted(kind)
    with pytest.raises(ValueError, match=r"shape \(3, 1\) do not match targets of shape \(3,\); .* t\[:, None\]"):
        call(np.full((3, 1), good), np.ones(3))
    with pytest.raises(ValueError, match=r"\(3, 2\) do not match targets of shape \(3, 1\)$"):
        call(np.full((3, 2), good), np.ones((3, 1)))
    with pytest.raises(ValueError, match="zero rows"):
        call(np.ones((0, 2)), np.ones((0, 2)))
    with pytest.raises(ValueError, match=r"sample_weight has the shape \(2,\); 3 rows need the shape \(3,\)"):
        call(np.full((3, 1), good), np.ones((3, 1)), np.ones(2))
    with pytest.raises(ValueError, match=r"sample_weight has the shape \(3, 1\)"):
        call(np.full((3, 1), good), np.ones((3, 1)), np.ones((3, 1)))


@every_plain_loss
def test_bad_sample_weights_are_named(kind):
    p, t = np.full((3, 1), admitted(kind)), np.ones((3, 1))
    for wrong, message in (
        ([1, -1, 1], "of row 1 is -1"),
        ([1, 1, np.nan], "of row 2 is nan"),
        ([np.inf, 1, 1], "of row 0 is inf"),
        ([0, 0, 0], "all zero"),
    ):
        with pytest.raises(ValueError, match=message):
            kind().forward(p, t, np.array(wrong))


@pytest.mark.parametrize("kind", [BinaryCrossEntropy, CategoricalCrossEntropy, KLDivergence])
@pytest.mark.parametrize("wrong", [-1e-3, 1.001, np.inf])
def test_predictions_and_targets_outside_0_and_1_are_refused(kind, wrong):
    good = np.array([[0.5, 0.5]])
    bad = np.array([[0.5, wrong]])
    for method in (kind().forward, kind().backward):
        last = "Sigmoid" if kind is BinaryCrossEntropy else "Softmax"
        with pytest.raises(ValueError, match=rf"a prediction is .*, outside \[0, 1\]; .* a final {last}"):
            method(bad, good)
        with pytest.raises(ValueError, match=r"a target is .*, outside \[0, 1\]; .* one-hot"):
            method(good, bad)


@pytest.mark.parametrize("kind", [BinaryCrossEntropy, CategoricalCrossEntropy, KLDivergence])
@pytest.mark.parametrize("dtype", DTYPES)
def test_exchanged_arguments_are_noticed(kind, dtype):
    p, t = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], dtype), np.eye(3, dtype=dtype)[:2]
    loss = kind()
    loss.backward(p, t)
    with pytest.raises(ValueError, match=r"takes \(p, t\), the predictions first; are they exchanged\?"):
        loss.backward(t, p)
    # Sure of themselves and wrong, of targets of which some or all are yes or no; or hard answers that are measured.
    for right in (t[::-1], np.array([[0.5, 0.5, 0], [0, 0, 1]], dtype)):
        assert np.isfinite(loss.backward(t, right)).all()
    assert np.isfinite(loss.forward(t, p))


@pytest.mark.parametrize("method", ["forward", "backward"])
@pytest.mark.parametrize(
    ("kind", "p", "t", "message"),
    [
        (NegativeLogLikelihood, 0.1, 1.0, r"a prediction is 0\.1, over 0; does the model lack a final LogSoftmax\?"),
        (NegativeLogLikelihood, -0.1, 2.0, r"a target is 2, outside \[0, 1\]"),
        (Hinge, 3.0, 0.5, r"Hinge takes targets 1 and 0, or 1 and -1, but one is 0\.5"),
        (Poisson, -2.0, 1.0, r"not negative, but a prediction is -2, outside \[0, inf\]"),
        (Poisson, 2.0, -1.0, "but a target is -1"),
    ],
)
def test_predictions_and_targets_outside_the_domain_of_other_losses_are_refused(method, kind, p, t, message):
    with pytest.raises(ValueError, match=message):
        getattr(kind(), method)(np.array([[p]]), np.array([[t]]))
    NegativeLogLikelihood().forward(np.array([[1e-7]]), np.array([[1.0]]))  # a probability of 1, rounded


SMOOTHED = {kind: kind in (BinaryCrossEntropy, BinaryCrossEntropyOnLogits) for kind in LabelSmoothing.__subclasses__()}


@pytest.mark.parametrize("kind", SMOOTHED, ids=lambda kind: kind.__name__)
@given(st.data(), st.floats(0, 0.9))
def test_label_smoothing_makes_labels_less_certain(kind, data, share):
    loss, p, t, w, _ = drawn(data, kind)
    smoothed = kind(label_smoothing=share)
    softer = (1 - share) * t + share * (0.5 if SMOOTHED[kind] else 1 / t.shape[1])
    assert smoothed.forward(p, t, w) == pytest.approx(loss.forward(p, softer, w), rel=1e-12)
    np.testing.assert_allclose(smoothed.backward(p, t, w), loss.backward(p, softer, w), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("kind", ABSORBING)
def test_the_absorbed_loss_keeps_the_label_smoothing(kind):
    absorbed = kind(label_smoothing=0.1).absorb(ABSORBING[kind][0]())
    assert absorbed.config() == {"label_smoothing": 0.1}
    assert repr(absorbed) == f"{type(absorbed).__name__}(label_smoothing=0.1)"


@pytest.mark.parametrize("share", [-0.1, 1.0, np.nan])
def test_label_smoothing_is_a_share(share):
    with pytest.raises(ValueError, match="at least 0 and less than 1"):
        CategoricalCrossEntropy(label_smoothing=share)


@given(st.data())
def test_negative_log_likelihood_and_kl_divergence_by_cross_entropy(data):
    _, z, t, w, _ = drawn(data, CategoricalCrossEntropyOnLogits)
    log_p, p = LogSoftmax().forward(z), Softmax().forward(z)
    expected = CategoricalCrossEntropyOnLogits().forward(z, t, w)
    assert NegativeLogLikelihood().forward(log_p, t, w) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert KLDivergence().forward(t, t, w) == 0
    entropy = CategoricalCrossEntropy().forward(t, t, w)
    assert KLDivergence().forward(p, t, w) == pytest.approx(expected - entropy, rel=1e-9, abs=1e-12)
    assert np.array_equal(KLDivergence().backward(p, t, w), CategoricalCrossEntropy().backward(p, t, w))


@pytest.mark.parametrize("dtype", DTYPES)
def test_poisson_has_a_finite_gradient_at_a_rate_of_zero(dtype):
    p, t = np.zeros((1, 3), dtype), np.array([[0, 1, 500]], dtype)
    with np.errstate(all="raise", under="ignore"):
        assert Poisson().forward(p, t) == 50100
        assert np.isfinite(Poisson().backward(p, t)).all() and Poisson().backward(p, t)[0, 0] == 1


@pytest.mark.parametrize("delta", [0, -1.0, np.nan])
def test_huber_needs_a_positive_delta(delta):
    with pytest.raises(ValueError, match="delta must be positive"):
        Huber(delta)


@given(st.data())
def test_huber_lies_between_squared_and_absolute_error(data):
    _, p, t, _, _ = drawn(data, MeanSquaredError)
    assert Huber(np.inf).forward(p, t) == pytest.approx(MeanSquaredError().forward(p, t) / 2)
    assert Huber(1e-9).forward(p, t) / 1e-9 == pytest.approx(MeanAbsoluteError().forward(p, t), rel=1e-6)


@pytest.mark.parametrize("loss, last", [(Hinge(), []), (NegativeLogLikelihood(), [LogSoftmax()])], ids=repr)
@pytest.mark.parametrize("classes", [2, 3])
def test_labels_are_learned_by_hinge_and_negative_log_likelihood(loss, last, classes):
    rng = np.random.default_rng(0)
    labels = np.array(["no", "yes", "perhaps"])[rng.integers(classes, size=90)]
    x = (labels[:, None] == ["no", "yes", "perhaps"]) + rng.normal(0, 0.1, (90, 3))
    model = Sequential([Dense(3, 1 if classes == 2 and not last else classes), *map(copy.copy, last)], seed=0)
    model.fit(x, labels, loss=loss, optimizer=SGD(0.5), epochs=40, batch_size=9)
    assert (model.predict_classes(x) == labels).all()


def test_counts_are_learned_by_poisson():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (500, 1))
    model = Sequential([Dense(1, 1), Softplus()], seed=0)
    model.fit(x, rng.poisson(1 + 5 * x[:, 0]), loss=Poisson(), optimizer=SGD(0.1), epochs=60, batch_size=50)
    np.testing.assert_allclose(model.predict(np.array([[0.2], [0.8]])), [[2], [5]], rtol=0.15)


def test_a_loss_of_ones_own_needs_terms_and_slopes():
    class Cubic(Loss):
        def terms(self, p, t):
            return (p - t) ** 3

        def slopes(self, p, t):
            return 3 * (p - t) ** 2

    p, t = np.array([[1.0, 2.0], [3.0, 0.0]]), np.zeros((2, 2))
    assert Cubic().forward(p, t) == (1 + 8 + 27) / 2
    assert Cubic().forward(p, t, [1, 3]) == (1 + 8 + 3 * 27) / 4
    assert np.array_equal(Cubic().backward(p, t, [1, 3]), [[0.75, 3], [20.25, 0]])


def test_a_loss_of_ones_own_may_have_forward_and_backward_instead():
    class Worst(Loss):
        """The largest error of all."""

        def forward(self, p, t, sample_weight=None):
            return float(np.abs(p - t).max())

    assert Worst().value(np.array([[1.0], [4.0]]), np.zeros((2, 1))) == 4.0
    with pytest.raises(NotImplementedError, match="Worst has neither slopes"):
        Worst().backward(np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(NotImplementedError, match="Loss has neither terms"):
        Loss().terms(np.ones((1, 1)), np.ones((1, 1)))


def test_losses_whose_targets_have_another_shape():
    p, t = np.array([[0.5, 1.0, 2.0, 0.3], [1.0, -1.0, 0.5, 2.0]]), np.array([[1.0, 2.0], [0.0, 1.0]])
    mean, variance = p[:, :2], p[:, 2:]
    expected = ((np.log(variance) + (t - mean) ** 2 / variance) / 2).sum() / 2
    assert GaussianNLL().forward(p, t) == pytest.approx(expected)
    with pytest.raises(ValueError, match="a mean and a variance for each target"):
        GaussianNLL().forward(p[:, :3], t)
    with pytest.raises(ValueError, match="does that half lack a final Softplus"):
        GaussianNLL().forward(-p, t)
    both = SumOfLosses([(GaussianNLL(), 4), (MeanSquaredError(), 1, 0.5)])
    square = MeanSquaredError().forward(p[:, :1], t[:, :1])
    found = both.forward(np.hstack([p, p[:, :1]]), np.hstack([t, t[:, :1]]))
    assert found == pytest.approx(expected + square / 2)
    with pytest.raises(ValueError, match="takes 5 columns"):
        both.forward(p, t)
    with pytest.raises(ValueError, match="is no pair of a loss and its number of columns"):
        SumOfLosses([(MeanSquaredError, 1)])
    x = np.random.default_rng(0).normal(size=(64, 3))
    spread = Concatenate(Dense(3, 1, seed=0), Sequential([Dense(3, 1, seed=1), Softplus()]))
    options = {"loss": GaussianNLL(), "epochs": 5, "validation": 0.2}
    fit_both_ways(lambda: Sequential([copy.deepcopy(spread)]), x, x.sum(axis=1), lambda: Adam(0.02), **options)
