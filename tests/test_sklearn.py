"""The estimators keep scikit-learn's rules, and minigrad's promises on weights, going on, dtypes and early stopping."""

import pickle
import unittest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_classifiers_train, check_regressors_train, parametrize_with_checks

from minigrad import (
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits,
    CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits,
    Dense,
    Dropout,
    Hinge,
    Huber,
    Identity,
    KLDivergence,
    LeakyReLU,
    LogSoftmax,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
    Poisson,
    ReLU,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
    load,
)
from minigrad.sklearn import NetworkClassifier, NetworkRegressor

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
TABLE, NUMBERS = load_diabetes(return_X_y=True, scaled=True)
NUMBERS = (NUMBERS - NUMBERS.mean()) / NUMBERS.std()
NOISY = [Dense(4, 8), BatchNorm(8), LeakyReLU(), Dropout(0.2), Dense(8, 3), Softmax()]


@pytest.fixture(autouse=True)
def programs_are_recorded_at_once():
    """Not here, where some five hundred networks are fitted for a few steps each: they are recorded where it pays."""


NOTHING_TO_CHECK = {
    "SCIPY_ARRAY_API is not set: not checking array_api input",  # the estimators compute with NumPy alone
    "NetworkClassifier does not have a decision_function method.",  # it has predict_proba
}
"""Why scikit-learn passes over a check of its own."""


FEW = {"epochs": 30, "learning_rate": 0.01}
"""What fits these small tables as well as the defaults do, in a fifth of the time."""


@parametrize_with_checks([NetworkClassifier(**FEW), NetworkRegressor(**FEW)])
def test_scikit_learn_finds_no_fault(estimator, check):
    try:
        check(estimator)
    except unittest.SkipTest as passed_over:
        assert str(passed_over) in NOTHING_TO_CHECK


def test_the_defaults_learn_what_scikit_learn_asks_for():
    check_classifiers_train("NetworkClassifier", NetworkClassifier())
    check_regressors_train("NetworkRegressor", NetworkRegressor())


# ------------------------------------------------------------------------------------------------- with scikit-learn
def test_pipeline_grid_search_and_parallel_folds():
    pipeline = make_pipeline(StandardScaler(), NetworkClassifier(NOISY, epochs=20, learning_rate=0.02, random_state=0))
    grid = {
        "networkclassifier__l2": [0.0, 1e-3],
        "networkclassifier__optimizer": [RMSprop(), Adam()],
        "networkclassifier__layers": [NOISY, Sequential([Dense(4, 3), Softmax()])],
    }
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=3, error_score="raise").fit(X, NAMES)
    assert search.best_score_ > 0.9
    assert search.best_estimator_[-1].optimizer is not search.best_estimator_[-1].optimizer_


def test_parallel_folds_are_those_of_one_process():
    network = NetworkClassifier(NOISY, epochs=5, random_state=0)
    one, two = (cross_val_score(network, X, NAMES, n_jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_probabilities_can_be_calibrated():
    calibrated = CalibratedClassifierCV(NetworkClassifier(hidden=(8,), epochs=100, random_state=0), cv=3).fit(X, NAMES)
    p = calibrated.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (calibrated.predict(X) == NAMES).mean() > 0.9


def test_the_layers_given_are_neither_changed_nor_used():
    model = Sequential([Dense(4, 8, seed=1), Tanh(), Dropout(0.5), Dense(8, 3, seed=2), Softmax()])
    before, optimizer = model.theta.copy(), SGD(0.1)
    network = NetworkClassifier(model, optimizer=optimizer, epochs=2)
    assert network.fit(X, Y).model_[0] is not model[0]
    assert clone(network).layers is not model
    np.testing.assert_array_equal(model.theta, before)
    assert optimizer.steps == 0
    network.fit(X, Y)  # and once more from the start
    assert network.optimizer_.epochs == network.n_iter_ == 2


def test_a_trained_network_brings_nothing_it_has_learned():
    trained = NetworkClassifier([Dense(4, 3), Softmax()], epochs=50, random_state=0).fit(X, Y).model_
    again = NetworkClassifier(trained, epochs=1, random_state=0).fit(X, Y)
    fresh = NetworkClassifier([Dense(4, 3), Softmax()], epochs=1, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(again.model_.theta, fresh.model_.theta)


def test_a_pickled_estimator_has_no_rows_in_it():
    rows = np.random.default_rng(0).normal(size=(90, 4))
    network = NetworkClassifier(hidden=(8,), epochs=40, batch_size=30, random_state=0).fit(rows, np.arange(90) % 3)
    network.predict(rows[:5])
    held = pickle.dumps(network) + pickle.dumps(network.optimizer_)
    assert not any(row.tobytes() in held for row in rows)


def test_an_estimator_from_pickle_and_a_model_from_its_file_answer_alike(tmp_path):
    network = NetworkClassifier(NOISY, epochs=5, random_state=0).fit(X, NAMES)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(network)).predict_proba(X), network.predict_proba(X))
    network.model_.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").predict_classes(X), network.predict(X))


def test_feature_names_are_kept_and_compared():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    network = NetworkClassifier(epochs=1).fit(frame, NAMES)
    assert network.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        network.predict(frame[["b", "a", "c", "d"]])


# --------------------------------------------------------------------------------------------- any layers, any losses
@pytest.mark.parametrize("kind", ["two", "three"])
@pytest.mark.parametrize(
    "loss",
    [
        None,
        BinaryCrossEntropy(),
        BinaryCrossEntropyOnLogits(),
        CategoricalCrossEntropy(label_smoothing=0.1),
        CategoricalCrossEntropyOnLogits(),
        NegativeLogLikelihood(),
        KLDivergence(),
        Hinge(),
        MeanSquaredError(),
        MeanAbsoluteError(),
        Huber(),
    ],
    ids=repr,
)
def test_every_loss_tells_classes_apart(loss, kind):
    labels = Y if kind == "three" else np.where(Y == 2, "yes", "no")
    network = NetworkClassifier(
        hidden=(16,), activation=Tanh(), loss=loss, learning_rate=0.02, random_state=0, epochs=75
    ).fit(X, labels)
    assert network.score(X, labels) > 0.93
    if isinstance(loss, Hinge | MeanSquaredError | MeanAbsoluteError | Huber):
        assert not hasattr(network, "predict_proba")
        return
    p = network.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(network.classes_[p.argmax(axis=1)], network.predict(X))
    np.testing.assert_allclose(network.predict_log_proba(X), np.log(p))


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        ([Softmax()], CategoricalCrossEntropy),
        ([Sigmoid()], BinaryCrossEntropy),
        ([LogSoftmax()], NegativeLogLikelihood),
        ([], CategoricalCrossEntropyOnLogits),
        ([Sequential([Identity(), Softmax()])], CategoricalCrossEntropy),
    ],
)
def test_the_last_layer_chooses_the_loss(last, loss):
    network = NetworkClassifier([Dense(4, 3), *last], random_state=0, learning_rate=0.02).fit(X, NAMES)
    assert type(network.loss_) is loss
    assert network.score(X, NAMES) > 0.9
    one = NetworkClassifier([Dense(4, 1)], random_state=0, epochs=1).fit(X, Y == 2)
    assert type(one.loss_) is BinaryCrossEntropyOnLogits


@pytest.mark.parametrize("loss", [MeanSquaredError(), MeanAbsoluteError(), Huber(0.5)], ids=repr)
def test_a_regressor_learns_with_every_loss_of_numbers(loss):
    network = NetworkRegressor(loss=loss, epochs=50, random_state=0).fit(TABLE, NUMBERS)
    assert network.score(TABLE, NUMBERS) > 0.4
    both = np.column_stack([NUMBERS, -NUMBERS])
    assert network.fit(TABLE, both).predict(TABLE).shape == both.shape


def test_a_regressor_learns_counts_by_poisson():
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(X[:, 0]))
    network = NetworkRegressor(loss=Poisson(), random_state=0, learning_rate=0.01).fit(X, counts)
    assert isinstance(network.model_[-1], Softplus)
    assert np.corrcoef(network.predict(X), np.exp(X[:, 0]))[0, 1] > 0.9


def test_a_classifier_learns_several_labels_a_row():
    x, y = make_multilabel_classification(200, 8, n_classes=3, random_state=0)
    x = StandardScaler().fit_transform(x)
    for layers in (None, [Dense(8, 16), ReLU(), Dense(16, 3)]):
        network = NetworkClassifier(layers, random_state=0, early_stopping=True).fit(x, y)
        p, found = network.predict_proba(x), network.predict(x)
        assert p.shape == found.shape == y.shape
        np.testing.assert_array_equal(found, p >= 0.5)
        assert (found == y).mean() > 0.85
    with pytest.raises(ValueError, match="class_weight is for one class a row"):
        NetworkClassifier(class_weight="balanced").fit(x, y)


# ------------------------------------------------------------------------------------------------------------ weights
@given(seed=st.integers(0, 99), epochs=st.integers(1, 3), batch=st.sampled_from([2, 6, 64]), early=st.booleans())
@settings(max_examples=15)
def test_sample_weights_of_one_are_none(seed, epochs, batch, early):
    noisy = [Dense(4, 8), Dropout(0.2), LeakyReLU(), Dense(8, 3), Softmax()]
    for estimator, x, y in (
        (NetworkClassifier(noisy), X[:150:5], NAMES[:150:5]),
        (NetworkRegressor(hidden=(5,)), X[:30], X[:30, 0]),
    ):
        estimator.set_params(
            random_state=seed, epochs=epochs, batch_size=max(batch, 2), early_stopping=early, patience=9
        )
        if early or len(x) % max(batch, 2) == 1:  # a last batch of one row has no variance
            estimator.set_params(batch_size=64)
        weighted, plain = clone(estimator).fit(x, y, np.ones(len(x))), clone(estimator).fit(x, y)
        np.testing.assert_array_equal(weighted.model_.theta, plain.model_.theta)
        assert weighted.history_.loss == plain.history_.loss
        assert weighted.validation_curve_ == plain.validation_curve_


@given(seed=st.integers(0, 99), weights=st.lists(st.integers(0, 3), min_size=30, max_size=30))
@settings(max_examples=15)
def test_a_sample_weight_of_two_is_the_row_twice(seed, weights):
    weights[0] = weights[10] = weights[29] = 1  # every class once
    for estimator, y in (
        (NetworkClassifier(hidden=(5,), activation=Tanh()), NAMES[::5]),
        (NetworkRegressor(hidden=(5,), activation=Tanh()), X[::5, 3]),
    ):
        estimator.set_params(random_state=seed, epochs=20, batch_size=100, optimizer=SGD(0.1), l2=0.01)
        x = X[::5]
        weighted = clone(estimator).fit(x, y, weights)
        repeated = clone(estimator).fit(np.repeat(x, weights, axis=0), np.repeat(y, weights))
        np.testing.assert_allclose(weighted.model_.theta, repeated.model_.theta, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-12)


def test_class_weight_is_the_weight_of_its_rows():
    x, y = X[20:120], NAMES[20:120]
    given = {"setosa": 3.0, "versicolor": 0.5}
    rows = np.array([given.get(name, 1.0) for name in y])
    own = np.linspace(1, 2, len(y))
    network = NetworkClassifier(random_state=0, epochs=5)
    np.testing.assert_array_equal(
        clone(network).set_params(class_weight=given).fit(x, y, own).model_.theta,
        clone(network).fit(x, y, rows * own).model_.theta,
    )
    sizes = {name: (y == name).sum() for name in set(y)}
    np.testing.assert_array_equal(
        clone(network).set_params(class_weight="balanced").fit(x, y).model_.theta,
        clone(network).fit(x, y, np.array([len(y) / (3 * sizes[name]) for name in y])).model_.theta,
    )


# ------------------------------------------------------------------------------------------- going on, stopping, dtypes
@pytest.mark.parametrize("optimizer", [None, SGD(0.1, momentum=0.9), AdamW()], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_warm_start_four_epochs_and_six_are_ten(optimizer, dtype):
    for estimator, y in ((NetworkClassifier(NOISY), NAMES), (NetworkRegressor(), X[:, 0])):
        estimator.set_params(optimizer=optimizer, random_state=3, epochs=10, batch_size=32)
        whole = clone(estimator).fit(X.astype(dtype), y)
        parts = clone(estimator).set_params(warm_start=True, epochs=4).fit(X.astype(dtype), y)
        parts.set_params(epochs=6).fit(X.astype(dtype), y)
        single = clone(estimator).set_params(warm_start=True, epochs=1)
        for _ in range(10):
            single.fit(X.astype(dtype), y)
        for other in (parts, single):
            np.testing.assert_array_equal(other.model_.theta, whole.model_.theta)
            assert other.loss_curve_ == whole.loss_curve_
            assert other.n_iter_ == whole.n_iter_ == len(whole.loss_curve_) == 10


def test_partial_fit_goes_on_where_it_stopped():
    network = NetworkClassifier(NOISY, random_state=3, epochs=3).fit(X, NAMES)
    parts = NetworkClassifier(NOISY, random_state=3)
    for _ in range(3):
        parts.partial_fit(X, NAMES, classes=np.unique(NAMES))
    np.testing.assert_array_equal(parts.model_.theta, network.model_.theta)
    assert parts.n_iter_ == 3
    regressor = NetworkRegressor(random_state=3)
    regressor.partial_fit(X, X[:, 0]).partial_fit(X, X[:, 0])
    np.testing.assert_array_equal(
        regressor.model_.theta, NetworkRegressor(random_state=3, epochs=2).fit(X, X[:, 0]).model_.theta
    )


def test_partial_fit_with_few_of_the_classes():
    network = NetworkClassifier(random_state=0, learning_rate=0.01)
    order = np.random.default_rng(0).permutation(150)
    network.partial_fit(X[:50], NAMES[:50], classes=["virginica", "setosa", "versicolor"])
    for _ in range(20):
        for rows in order.reshape(-1, 5):
            network.partial_fit(X[rows], NAMES[rows])
    assert network.score(X, NAMES) > 0.9
    assert network.classes_.tolist() == ["setosa", "versicolor", "virginica"]


def test_warm_start_takes_another_learning_rate():
    network = NetworkClassifier(warm_start=True, epochs=1, random_state=0).fit(X, Y)
    theta = network.model_.theta.copy()
    network.set_params(learning_rate=0.0).fit(X, Y)
    np.testing.assert_array_equal(network.model_.theta, theta)


@pytest.mark.parametrize(("network", "y"), [(NetworkClassifier(), NAMES), (NetworkRegressor(), X[:, 3])])
def test_early_stopping_takes_the_best_epoch_and_keeps_the_curve(network, y):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), rng.permutation(y)[:60]  # nothing to learn, so it soon gets worse
    network.set_params(early_stopping=True, patience=4, random_state=0, learning_rate=0.03, validation_fraction=0.25)
    network.fit(x, y)
    curve = network.validation_curve_
    assert len(curve) == network.n_iter_ == len(network.loss_curve_) < 200
    assert network.history_.best_epoch == np.argmin(curve) + 1 == network.n_iter_ - 4
    short = clone(network).set_params(epochs=network.history_.best_epoch).fit(x, y)
    np.testing.assert_array_equal(short.model_.theta, network.model_.theta)
    assert clone(network).set_params(early_stopping=False, epochs=1).fit(x, y).validation_curve_ == []


def test_warm_start_with_early_stopping_keeps_both_histories():
    network = NetworkClassifier(early_stopping=True, warm_start=True, epochs=5, random_state=0).fit(X, NAMES)
    first = list(network.validation_curve_)
    network.fit(X, NAMES)
    assert network.validation_curve_[:5] == first
    assert network.n_iter_ == len(network.history_.metrics["validation_accuracy"]) == 10
    assert network.history_.best_epoch == 5 + np.argmin(network.validation_curve_[5:]) + 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_an_estimator_computes_in_the_dtype_of_x(dtype):
    x = (10 * np.abs(X)).astype(dtype)
    expected = np.float32 if dtype is np.float32 else np.float64
    classifier = NetworkClassifier(NOISY, epochs=1).fit(x, NAMES, np.ones(150, np.float64))
    assert classifier.model_.theta.dtype == classifier.predict_proba(x).dtype == expected
    assert NetworkRegressor(epochs=1).fit(x, Y).predict(x).dtype == expected


def test_random_state_makes_a_training_repeatable():
    def theta(state):
        return NetworkClassifier(NOISY, epochs=1, random_state=state).fit(X, Y).model_.theta

    np.testing.assert_array_equal(theta(1), theta(1))
    assert (theta(1) != theta(2)).any()
    assert (theta(None) != theta(None)).any()
    shared = np.random.RandomState(1)
    first = theta(shared)
    np.testing.assert_array_equal(first, theta(1))
    assert (theta(shared) != first).any()


# ----------------------------------------------------------------------------------------------------- errors in words
@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: NetworkClassifier(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2]), "none to hold out"),
        (lambda: NetworkRegressor(early_stopping=True).partial_fit(X, X[:, 0]), "none to hold out"),
        (lambda: NetworkClassifier(class_weight="balanced").partial_fit(X, Y, [0, 1, 2]), "counts the classes of all"),
        (lambda: NetworkClassifier().partial_fit(X, Y), "first partial_fit needs classes="),
        (lambda: NetworkClassifier(epochs=1).fit(X, Y).partial_fit(X, Y, [0, 1]), "not those of the first"),
        (lambda: NetworkClassifier(warm_start=True, epochs=1).fit(X, NAMES).fit(X, Y), r"label 0 is none of the 3"),
        (lambda: NetworkClassifier().fit(X, np.ones(150)), "one class only"),
        (lambda: NetworkClassifier([Dense(4, 2), Softmax()]).fit(X, Y), r"y has 3 classes, which take 3 outputs"),
        (lambda: NetworkClassifier([Dense(4, 1), Softmax()]).fit(X, Y == 1), r"2 classes, which take 2 outputs"),
        (lambda: NetworkClassifier([Dense(5, 3)]).fit(X, Y), r"layer 1 of 1, Dense\(5, 3\)"),
        (lambda: NetworkRegressor([Dense(4, 2)]).fit(X, X[:, 0]), r"t has rows of shape \(\)"),
        (lambda: NetworkClassifier().fit(X, Y, -np.ones(150)), "Negative values"),
        (lambda: NetworkClassifier(epochs=0).fit(X, Y), "epochs=0"),
    ],
)
def test_what_an_estimator_refuses(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def test_an_estimator_that_refused_is_not_fitted():
    network = NetworkClassifier([Dense(4, 2), Softmax()], warm_start=True, epochs=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="3 classes"):
            network.fit(X, Y)
        with pytest.raises(NotFittedError):
            network.predict(X)
    network.fit(X, Y == 1)
