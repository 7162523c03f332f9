"""scikit-learn's networks as networks of minigrad."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import minigrad
from minigrad import Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (60, 4))
TARGETS = {
    "two": RNG.choice(["no", "yes"], 60),
    "three": RNG.integers(7, 10, 60),
    "several at once": RNG.integers(0, 2, (60, 3)),
    "number": RNG.normal(size=60),
    "numbers": RNG.normal(size=(60, 2)),
}
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


@settings(max_examples=15)
@given(
    target=st.sampled_from(list(TARGETS)),
    activation=st.sampled_from(["identity", "logistic", "tanh", "relu"]),
    hidden=st.sampled_from([(), (3,), (5, 2)]),
    scaler=st.sampled_from([None, StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False)]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_it_says_what_the_estimator_says(target, activation, hidden, scaler, dtype):
    t, x = TARGETS[target], X.astype(dtype)
    kind = MLPRegressor if "number" in target else MLPClassifier
    mlp = kind(hidden_layer_sizes=hidden, activation=activation, max_iter=3, random_state=0)
    estimator = mlp if scaler is None else make_pipeline(scaler, mlp)
    model = minigrad.load(estimator.fit(x, t))
    assert type(model) is Sequential and model.theta.dtype == mlp.coefs_[0].dtype
    if target in ("two", "three"):
        assert model.predict_classes(x).tolist() == estimator.predict(x).tolist()
        expected = estimator.predict_proba(x)[:, -model.output_shape((4,))[0] :]
    else:
        expected = estimator.predict_proba(x) if kind is MLPClassifier else estimator.predict(x)
    y = model.predict(x)
    tolerance = 1e-10 if y.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(y, np.reshape(expected, y.shape), rtol=tolerance, atol=tolerance)


def test_what_has_no_layer_is_named():
    fitted = MLPRegressor(hidden_layer_sizes=(2,), max_iter=2).fit(X, X[:, 0])
    for wrong, words in (
        (MLPRegressor(), "has not been fitted"),
        (StandardScaler().fit(X), r"StandardScaler\(\) is no network: load takes MLPClassifier and MLPRegressor"),
        (make_pipeline(MinMaxScaler(), fitted).fit(X, X[:, 0]), r"MinMaxScaler\(\) has no layer here"),
    ):
        with pytest.raises(ValueError, match=words):
            minigrad.load(wrong)
    fitted.out_activation_ = "exp"
    with pytest.raises(ValueError, match="ends in 'exp', which has no layer here"):
        minigrad.load(fitted)


def test_a_network_that_would_say_something_else_is_refused(monkeypatch):
    fitted = MLPRegressor(hidden_layer_sizes=(2,), max_iter=2).fit(X, X[:, 0])
    monkeypatch.setattr(fitted, "predict", lambda x: np.zeros(len(x)))
    with pytest.raises(ValueError, match="answers otherwise than the network that was made of it"):
        minigrad.load(fitted)
