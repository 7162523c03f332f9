"""scikit-learn's networks as networks of minigrad: MLPClassifier and MLPRegressor, alone or behind a StandardScaler."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.layers.activations import ReLU, Sigmoid, Softmax, Tanh
from minigrad.layers.dense import Dense
from minigrad.layers.standardize import Standardize
from minigrad.parameter import Array
from minigrad.sequential import Sequential

ACTIVATIONS: dict[str, list[type[Layer]]] = {
    "identity": [],
    "logistic": [Sigmoid],
    "tanh": [Tanh],
    "relu": [ReLU],
    "softmax": [Softmax],
}
ROWS = 64


def is_estimator(source: Any) -> bool:
    """Whether this is one of scikit-learn's objects, and no path."""
    return hasattr(source, "fit") and hasattr(source, "get_params")


def network_of(estimator: Any) -> Sequential:
    """The same network, with its classes, in the estimator's dtype; its answers are compared on random rows.

    A Pipeline may have steps of StandardScaler before it, each of which becomes a Standardize. Raises ValueError for
    what is not fitted, for other estimators and steps, and where the answers differ.
    """
    *scalers, mlp = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    for scaler in scalers:
        if type(scaler).__name__ != "StandardScaler":
            raise ValueError(f"{scaler!r} has no layer here: of a pipeline, load takes StandardScaler and the network")
    if type(mlp).__name__ not in ("MLPClassifier", "MLPRegressor"):
        raise ValueError(f"{mlp!r} is no network: load takes MLPClassifier and MLPRegressor")
    for fitted, name in [(mlp, "coefs_"), *((scaler, "n_features_in_") for scaler in scalers)]:
        if not hasattr(fitted, name):
            raise ValueError(f"{fitted!r} has not been fitted")
    if mlp.out_activation_ not in ACTIVATIONS:
        raise ValueError(f"{mlp!r} ends in {mlp.out_activation_!r}, which has no layer here")
    width, dtype = estimator.n_features_in_, mlp.coefs_[0].dtype
    layers: list[Layer] = [_standardized(scaler, width) for scaler in scalers]
    for place, (W, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True), start=1):
        dense = Dense(*W.shape)
        dense.W, dense.b = W, b
        last = place == len(mlp.coefs_)
        layers += [dense, *(made() for made in ACTIVATIONS[mlp.out_activation_ if last else mlp.activation])]
    model = Sequential(layers, dtype)
    if hasattr(mlp, "classes_") and not (mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1):
        model.classes = np.asarray(mlp.classes_)  # several labels of a row at once are columns, and no classes
    _compare(estimator, model, scalers)
    return model


def _standardized(scaler: Any, width: int) -> Standardize:
    layer = Standardize(width, fitted=True)
    if scaler.mean_ is not None and scaler.with_mean:
        layer.mean = scaler.mean_
    if scaler.scale_ is not None:
        layer.scale = scaler.scale_
    return layer


def _compare(estimator: Any, model: Sequential, scalers: list[Any]) -> None:
    """Raise ValueError unless both say the same about random rows."""
    x: Array = np.random.default_rng(0).normal(size=(ROWS, estimator.n_features_in_))
    for scaler in reversed(scalers):
        x = scaler.inverse_transform(x)
    x = x.astype(model.theta.dtype)
    y = model.predict(x)
    if hasattr(estimator, "predict_proba"):
        expected = np.asarray(estimator.predict_proba(x))
        y = np.concatenate([1 - y, y], axis=1) if y.shape[1] == 1 else y
    else:
        expected = np.asarray(estimator.predict(x)).reshape(y.shape)
    difference = float(np.abs(y - expected).max())
    if not difference <= np.sqrt(np.finfo(y.dtype).eps) * max(1.0, float(np.abs(expected).max())):
        raise ValueError(f"{estimator!r} answers otherwise than the network that was made of it, by {difference:.2g}")
