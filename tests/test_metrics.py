"""Metrics against their definitions, written out row by row, and against scikit-learn."""

from statistics import NormalDist

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from minigrad import metrics


def pairs_of(labels):
    return st.lists(st.tuples(labels, labels), min_size=1, max_size=30).map(
        lambda pairs: tuple(zip(*pairs, strict=True))
    )


PAIRS = st.one_of(
    pairs_of(st.integers(1, 5)), pairs_of(st.sampled_from(["cat", "dog", "a cow"])), pairs_of(st.booleans())
)
NUMBERS = hnp.arrays(np.float64, (2, 7, 3), elements=st.floats(-100, 100, allow_subnormal=False))


@given(PAIRS)
def test_accuracy_confusion_and_report_are_those_of_the_definitions(pair):
    labels, predicted = pair
    classes = sorted({*labels, *predicted})
    both = list(zip(labels, predicted, strict=True))
    assert metrics.accuracy(labels, predicted) == sum(a == b for a, b in both) / len(both)
    matrix = metrics.confusion_matrix(labels, predicted)
    assert matrix.tolist() == [[both.count((true, called)) for called in classes] for true in classes]
    assert np.issubdtype(matrix.dtype, np.integer)
    report = metrics.classification_report(labels, predicted)
    assert report.classes.tolist() == classes
    for k, name in enumerate(classes):
        right, called, true = both.count((name, name)), predicted.count(name), labels.count(name)
        precision, recall = right / called if called else 0.0, right / true if true else 0.0
        assert report.precision[k] == precision and report.recall[k] == recall and report.support[k] == true
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        assert report.f1[k] == pytest.approx(f1, rel=1e-14)


@given(PAIRS)
def test_classification_reports_agree_with_scikit_learn(pair):
    labels, predicted = map(np.array, pair)
    report = metrics.classification_report(labels, predicted)
    theirs = sklearn.metrics.precision_recall_fscore_support(labels, predicted, zero_division=0)
    np.testing.assert_allclose([report.precision, report.recall, report.f1, report.support], theirs, rtol=1e-14)
    macro = sklearn.metrics.precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)[:3]
    np.testing.assert_allclose([report.macro_precision, report.macro_recall, report.macro_f1], macro, rtol=1e-13)
    true = np.unique(labels)
    balanced = sklearn.metrics.recall_score(labels, predicted, labels=true, average="macro", zero_division=0)
    assert report.balanced_accuracy == pytest.approx(balanced, rel=1e-13)
    assert report.accuracy == sklearn.metrics.accuracy_score(labels, predicted)


def test_given_classes_keep_their_order_and_may_be_absent():
    matrix = metrics.confusion_matrix(["b", "a", "b"], ["b", "b", "b"], classes=["c", "b", "a"])
    assert matrix.tolist() == [[0, 0, 0], [0, 2, 0], [0, 1, 0]]
    report = metrics.classification_report(["b", "a", "b"], ["b", "b", "b"], classes=["c", "b", "a"])
    assert report.support.tolist() == [0, 2, 1]
    assert report.balanced_accuracy == 0.5


def test_the_classification_report_prints_as_a_table():
    lines = str(metrics.classification_report(["cat", "dog", "dog"], ["cat", "dog", "cat"])).splitlines()
    assert lines[0].split() == ["precision", "recall", "F1", "rows"]
    assert lines[1].split() == ["cat", "0.500", "1.000", "0.667", "1"]
    assert lines[2].split() == ["dog", "1.000", "0.500", "0.667", "2"]
    assert lines[4].split() == ["macro", "average", "0.750", "0.750", "0.667", "3"]
    assert lines[5].split() == ["balanced", "accuracy", "0.750", "3"]
    assert lines[6].split() == ["accuracy", "0.667", "3"]
    assert len({len(line) for line in lines if line}) == 1


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.confusion_matrix, metrics.classification_report])
@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([], [], "no labels"),
        ([1, 2], [1], "2 labels and 1 predictions"),
        ([1, 2], ["1", "2"], "labels are whole numbers and the predictions text"),
        (np.eye(2), np.eye(2), r"one column"),
        ([1, 2], [0.9, 2.0], "row 0: 0.9 is no class label"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(metric, labels, predicted, message):
    with pytest.raises(ValueError, match=message):
        metric(labels, predicted)


@pytest.mark.parametrize(("classes", "message"), [([1], "row 1: label 2 is none of"), ([1, 2, 1], "twice")])
def test_classes_that_do_not_hold_the_labels_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        metrics.confusion_matrix([1, 2], [1, 1], classes=classes)


def test_wilson_intervals_are_those_of_newcombes_table():
    # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, 1998,
    # table I, method 3 (the score method without continuity correction).
    for successes, total, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert metrics.wilson_interval(successes, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.01, 0.999))
def test_wilsons_bounds_are_where_the_score_test_turns(total, share, confidence):
    successes = round(share * total)
    low, high = metrics.wilson_interval(successes, total, confidence)
    assert 0 <= low <= successes / total <= high <= 1
    assert (low == 0) == (successes == 0) and (high == 1) == (successes == total)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    for bound in (low, high):
        gap = (successes / total - bound) ** 2 * total
        assert gap == pytest.approx(z * z * bound * (1 - bound), rel=1e-6, abs=1e-9)
    mirrored = metrics.wilson_interval(total - successes, total, confidence)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize("arguments", [(1, 0), (-1, 3), (4, 3), (1, 3, 0.0), (1, 3, 1.0), (1, 3, 95)])
def test_intervals_of_nonsense_are_refused(arguments):
    with pytest.raises(ValueError, match=r"successes|confidence"):
        metrics.wilson_interval(*arguments)


@given(PAIRS)
def test_the_baseline_answers_the_most_frequent_training_label(pair):
    train, test = pair
    counts = {name: train.count(name) for name in sorted(set(train))}
    answer = max(counts, key=counts.get)
    assert metrics.majority_baseline(train, test) == test.count(answer) / len(test)


@given(NUMBERS)
def test_regression_errors_are_those_of_the_definitions(numbers):
    t, p = numbers
    gaps = [float(a) - float(b) for a, b in zip(t.ravel(), p.ravel(), strict=True)]
    assert metrics.mean_squared_error(t, p) == pytest.approx(sum(g * g for g in gaps) / 21, rel=1e-12)
    assert metrics.mean_absolute_error(t, p) == pytest.approx(sum(map(abs, gaps)) / 21, rel=1e-12)


@given(NUMBERS)
def test_r2_agrees_with_scikit_learn(numbers):
    t, p = np.round(numbers)
    assert metrics.r2_score(t, p) == pytest.approx(sklearn.metrics.r2_score(t, p), rel=1e-9)
    assert metrics.r2_score(t[:, 0], p[:, 0]) == pytest.approx(sklearn.metrics.r2_score(t[:, 0], p[:, 0]), rel=1e-9)


def test_r2_of_equal_targets_and_of_the_mean():
    assert metrics.r2_score([0.1] * 3, [0.1] * 3) == 1
    assert metrics.r2_score([0.1] * 3, [0.1, 0.1, 0.2]) == 0
    assert metrics.r2_score([1, 2, 3], [2, 2, 2]) == 0
    assert metrics.r2_score([[1, 5], [3, 5]], [[1, 5], [3, 6]]) == 0.5


@pytest.mark.parametrize("metric", [metrics.mean_squared_error, metrics.mean_absolute_error, metrics.r2_score])
def test_regression_refuses_unequal_shapes_and_nothing(metric):
    with pytest.raises(ValueError, match=r"\(3,\).*\(3, 1\)"):
        metric(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="no rows"):
        metric([], [])


def test_r2_of_one_row_is_refused():
    with pytest.raises(ValueError, match="two rows"):
        metrics.r2_score([1], [1])


@st.composite
def ranked(draw):
    """Rows of both kinds, scores with ties, and three draws of whole weights that leave both kinds in."""
    rows = draw(st.integers(2, 25))
    truth = np.array([1, 0, *draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))])
    scores = np.array(draw(st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.75]), min_size=rows + 2, max_size=rows + 2)))
    weights = draw(hnp.arrays(np.int64, (3, rows + 2), elements=st.integers(0, 3)))
    weights[:, :2] += 1
    return truth, scores, weights


@given(ranked())
def test_rankings_and_probabilities_agree_with_scikit_learn_on_rows_drawn_several_times(rows):
    truth, scores, weights = rows
    p = np.column_stack([1 - scores, scores])
    pairs = (
        (metrics.roc_auc_score, sklearn.metrics.roc_auc_score, scores),
        (metrics.average_precision_score, sklearn.metrics.average_precision_score, scores),
        (metrics.log_loss, sklearn.metrics.log_loss, p),
        (metrics.brier_score, lambda t, p: sklearn.metrics.brier_score_loss(t, p[:, 1]), p),
    )
    for ours, theirs, given_ in pairs:
        assert ours(truth, given_) == pytest.approx(theirs(truth, given_), rel=1e-12)
        expected = [theirs(np.repeat(truth, w), np.repeat(given_, w, axis=0)) for w in weights]
        np.testing.assert_allclose(ours(truth, given_, sample_weight=weights), expected, rtol=1e-12)
    # Of equal scores, those at the edge of the tenth count by their mean.
    for w, found in zip(weights, metrics.lift(truth, scores, 0.3, weights), strict=True):
        t, s = np.repeat(truth, w), np.repeat(scores, w)
        places, caught = 0.3 * len(t), 0.0
        for score in sorted(set(s), reverse=True):
            taken = min(places, np.sum(s == score))
            caught, places = caught + taken * t[s == score].mean(), places - taken
        assert found == pytest.approx(caught / (0.3 * t.sum()))


def test_one_pair_of_equal_scores_among_others_counts_half():
    assert metrics.roc_auc_score([1, 0, 1, 0], [0.5, 0.5, 0.9, 0.1]) == (0.5 + 1 + 2) / 4


def test_log_loss_and_brier_of_several_classes_are_scikit_learns_and_the_definitions():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 50)
    codes = np.append(np.arange(4), rng.integers(4, size=46))
    p[7] = np.eye(4)[(codes[7] + 1) % 4]
    assert metrics.log_loss(codes, p) == pytest.approx(sklearn.metrics.log_loss(codes, p))
    assert metrics.brier_score(codes, p) == pytest.approx(np.square(p - np.eye(4)[codes]).sum(axis=1).mean())


def test_what_can_not_be_ranked_is_refused_or_nan():
    assert np.isnan(metrics.roc_auc_score([1, 1], [0.1, 0.2])) and np.isnan(metrics.lift([0, 0], [0.1, 0.2]))
    for truth, scores in (([1, 2], [0.1, 0.2]), ([1, 0], [np.nan, 0.2]), ([1], [0.1, 0.2])):
        with pytest.raises(ValueError, match="scores"):
            metrics.roc_auc_score(truth, scores)


@pytest.mark.parametrize("metric", [metrics.log_loss, metrics.brier_score])
def test_codes_that_are_none_and_outputs_of_other_rows_are_refused(metric):
    """One row of outputs would be taken for all."""
    p = np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match=r"codes of shape \(2,\) and p of \(1, 2\)"):
        metric([0, 1], p[:1])
    for wrong in ([0, 2], [-1, 0], [0.0, 1.0]):
        with pytest.raises(ValueError, match="the codes of 2 classes are whole numbers from 0 to 1"):
            metric(wrong, p)
    assert metric([0, 1], np.eye(2, dtype=int)) == 0


def test_a_lift_of_more_than_all_is_refused():
    for share in (0, 2, np.nan):
        with pytest.raises(ValueError, match=f"share={share}: it is above 0 and at most 1"):
            metrics.lift([1, 0], [0.5, 0.2], share)
