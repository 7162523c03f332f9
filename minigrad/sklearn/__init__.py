"""Networks as scikit-learn estimators: with layers of your own, in pipelines, grid searches and cross-validation.

    from minigrad.sklearn import NetworkClassifier

    pipeline = make_pipeline(StandardScaler(), NetworkClassifier(hidden=(64, 32), random_state=0))
    print(cross_val_score(pipeline, X, y))

It needs scikit-learn: `pip install "minigrad-nn[sklearn]"`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from minigrad.model import chain_of
from minigrad.version import installing

try:
    from sklearn.utils import check_random_state, column_or_1d, compute_sample_weight
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

    from minigrad.sklearn.bases import BaseEstimator, ClassifierMixin, RegressorMixin
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(f"minigrad.sklearn needs scikit-learn: {installing('sklearn')}") from _error

from minigrad.data.labels import LabelEncoder
from minigrad.functions import sigmoid, softmax
from minigrad.layer import Layer
from minigrad.layers.activations import ReLU, Sigmoid, Softmax
from minigrad.layers.more_activations import LogSoftmax, Softplus
from minigrad.layers.stack import dense_stack
from minigrad.losses import (
    BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits,
    CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits,
    KLDivergence,
    Loss,
    MeanSquaredError,
    NegativeLogLikelihood,
    Poisson,
)
from minigrad.optimizers import Adam, Optimizer
from minigrad.parameter import Array
from minigrad.sequential import Sequential
from minigrad.training.history import History

Rows: TypeAlias = Any
"""X or y as scikit-learn takes them: an array, a list of lists, a DataFrame."""

LAST: dict[type[Loss], type[Layer]] = {
    BinaryCrossEntropy: Sigmoid,
    CategoricalCrossEntropy: Softmax,
    NegativeLogLikelihood: LogSoftmax,
    KLDivergence: Softmax,
    Poisson: Softplus,
}
"""What brings a network's last scores to where the loss is defined; other losses take them as they are."""


class Network(BaseEstimator):
    """What the two estimators share: constructor, training and the network itself."""

    model_: Sequential
    loss_: Loss
    n_features_in_: int

    def __init__(
        self,
        layers: Layer | Iterable[Layer] | None = None,
        hidden: int | Sequence[int] = (64,),
        activation: Layer | None = None,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        learning_rate: float | None = None,
        epochs: int = 200,
        batch_size: int = 64,
        l2: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.layers = layers
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.l2 = l2
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _validate(self, X: Rows, y: Any, sample_weight: Any, reset: bool) -> tuple[Array, Array, Array | None]:
        """X as float32 if it is that and as float64 else, y as an array of (m,) or (m, k), and the weights like X."""
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), multi_output=True, reset=reset)
        y = y.toarray() if hasattr(y, "toarray") else y
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        return X, y, sample_weight

    def _start(self, X: Array, loss: Loss | None, outputs: int) -> Sequential:
        """Forget what was learned before, and make a network, which is not `model_` yet, and its optimizer.

        `loss` and `outputs` shape a network of Dense layers; one of the user's own is as it is.
        """
        self.__dict__.pop("model_", None)
        seed = self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if self.layers is None:
            activation = ReLU() if self.activation is None else self.activation
            widths = [self.hidden] if isinstance(self.hidden, int | np.integer) else self.hidden
            layers = dense_stack([X.shape[1], *widths, outputs], lambda: copy.deepcopy(activation))
            if loss is not None and type(loss) in LAST:
                layers.append(LAST[type(loss)]())
        else:
            given = chain_of(self.layers) if isinstance(self.layers, Layer) else self.layers
            layers = [copy.deepcopy(layer) for layer in given]
        optimizer = Adam() if self.optimizer is None else self.optimizer
        settings = copy.deepcopy(optimizer.config())
        if self.learning_rate is not None:
            settings["learning_rate"] = self.learning_rate
        self.optimizer_: Optimizer = type(optimizer)(**settings)
        self.history_: History = History()
        return Sequential(layers, X.dtype, seed=seed)

    def _train(self, X: Array, t: Array, sample_weight: Array | None, epochs: int) -> None:
        """Train the network on, for `epochs` epochs more, and write down what happened."""
        if self.learning_rate is not None:
            self.optimizer_.learning_rate = self.learning_rate  # another one may have been set since the start
        latest = self.model_.fit(
            X,
            t,
            loss=self.loss_,
            optimizer=self.optimizer_,
            epochs=epochs,
            batch_size=self.batch_size,
            validation=self.validation_fraction if self.early_stopping else None,
            patience=self.patience if self.early_stopping else None,
            l2=self.l2,
            sample_weight=sample_weight,
            progress=bool(self.verbose),
            seed=self._seed,
        )
        _append(self.history_, latest)
        self.loss_curve_: list[float] = self.history_.loss
        self.validation_curve_: list[float] = self.history_.validation_loss
        self.n_iter_: int = len(self.history_)

    def _refuse_early_stopping(self) -> None:
        if self.early_stopping:
            raise ValueError(
                "partial_fit makes one pass over the rows that it is given, so there are none to hold out and nothing "
                "to stop: set early_stopping=False, and watch score() on rows of your own; or call fit"
            )

    def _outputs(self, X: Rows) -> Array:
        check_is_fitted(self, "model_")
        return self.model_.predict(validate_data(self, X, dtype=(np.float64, np.float32), reset=False))


def _append(history: History, latest: History) -> None:
    """Put the epochs of the latest training behind those of the earlier ones."""
    history.best_epoch = None if latest.best_epoch is None else len(history) + latest.best_epoch
    history.loss += latest.loss
    history.validation_loss += latest.validation_loss
    history.seconds += latest.seconds
    for name, values in latest.metrics.items():
        history.metrics.setdefault(name, []).extend(values)


class NetworkClassifier(ClassifierMixin, Network):
    """A network that tells classes apart, or answers several yes-or-no questions at once (multilabel y of 0 and 1).

    * layers: the network, as a list of layers or a Sequential. It is copied, never changed; in the copy, what layers
      draw (weights, generators) is drawn anew from `random_state`, except by those with a seed of their own. So weights
      that have seen the rows of a test fold don't slip into a cross-validation. All else is as given.
    * hidden, activation: without `layers`, the widths of the hidden layers, and the layer after each of them (ReLU).
    * loss: by default the cross-entropy for the last layer: of Sigmoid, Softmax or LogSoftmax, else on logits. Any loss
      will do; the targets are one-hot rows, or one column of 0 and 1 where the network has one output.
    * optimizer: Adam by default; it is copied too. `learning_rate`, if given, takes the place of its own.
    * epochs, batch_size, l2: of `Sequential.fit`.
    * early_stopping: hold out a share `validation_fraction` of the rows, stratified; stop after `patience` epochs
      without a lower loss on them, and take the parameters of the best epoch.
    * class_weight: a mapping from label to weight, or "balanced"; not for multilabel y.
    * warm_start: `fit` goes on where the last one ended: without early stopping, 4 epochs and then 6 are 10, bit for
      bit. `layers`, `hidden`, `activation`, `loss` and `optimizer` count when the network is made.
    * random_state: of the parameters, the hold-out and the order of the rows.
    * verbose: 1 shows a progress bar.

    The network computes in float32 if X has that dtype, else in float64.

    After fitting: `model_` (a Sequential: save it, export it), `optimizer_`, `loss_`, `classes_`, `history_`,
    `loss_curve_`, `validation_curve_` (empty without early stopping), `n_iter_` (all epochs so far), `n_features_in_`,
    `feature_names_in_`.
    """

    def __init__(
        self,
        layers: Layer | Iterable[Layer] | None = None,
        hidden: int | Sequence[int] = (64,),
        activation: Layer | None = None,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        learning_rate: float | None = None,
        epochs: int = 200,
        batch_size: int = 64,
        l2: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            layers,
            hidden,
            activation,
            loss,
            optimizer,
            learning_rate,
            epochs,
            batch_size,
            l2,
            early_stopping,
            validation_fraction,
            patience,
            warm_start,
            random_state,
            verbose,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's checks are to know: several labels for a row are fine."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Rows, y: Any, sample_weight: Any = None) -> NetworkClassifier:
        """Train on the rows X (m, I) with labels y (m,), or (m, k) of 0 and 1; `sample_weight` (m,) weighs the rows.

        Raises ValueError for labels of one class only, for a network with other outputs than the classes take, and for
        a `class_weight` of several labels a row.
        """
        going_on = self.warm_start and hasattr(self, "model_")
        X, y, sample_weight = self._validate(X, y, sample_weight, reset=not going_on)
        check_classification_targets(y)
        if not going_on:
            self._begin(X, y, unique_labels(y))
        self._train(X, self._targets(y), self._weighted(y, sample_weight), self.epochs)
        return self

    def partial_fit(self, X: Rows, y: Any, classes: Any = None, sample_weight: Any = None) -> NetworkClassifier:
        """Make one pass over these rows. The first call needs all the `classes` that will ever come.

        Raises ValueError for `early_stopping`, for `class_weight="balanced"`, for no `classes` in the first call and
        for others later, and as `fit` does.
        """
        self._refuse_early_stopping()
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' counts the classes of all rows, and partial_fit sees a few of them: give a "
                "mapping from label to weight, or sample_weight"
            )
        first = not hasattr(self, "model_")
        X, y, sample_weight = self._validate(X, y, sample_weight, reset=first)
        check_classification_targets(y)
        if first and classes is None:
            raise ValueError("the first partial_fit needs classes=, all the labels that will ever come")
        if classes is not None:
            classes = unique_labels(classes)
            if first:
                self._begin(X, y, classes)
            elif not np.array_equal(classes, self.classes_):
                raise ValueError(f"classes={classes} are not those of the first partial_fit, {self.classes_}")
        self._train(X, self._targets(y), self._weighted(y, sample_weight), 1)
        return self

    def _begin(self, X: Array, y: Array, classes: Array) -> None:
        multilabel = type_of_target(y) == "multilabel-indicator"
        if len(classes) < 2 and not multilabel:
            raise ValueError(f"y holds one class only, {classes[0]!r}: there is nothing to tell apart")
        loss = self.loss
        if loss is None and self.layers is None:
            loss = BinaryCrossEntropy() if multilabel or len(classes) == 2 else CategoricalCrossEntropy()
        self._multilabel: bool = multilabel
        self.classes_ = classes
        pair = len(classes) == 2 and not multilabel
        model = self._start(X, loss, 1 if pair and loss is not None and loss.binary else len(classes))
        outputs = model.output_shape(X.shape[1:])
        if loss is None:
            loss = _cross_entropy(model.chain()[-1], multilabel, outputs == (1,))
        self.loss_: Loss = loss
        one_is_enough = pair and (loss.binary or not loss.labels)
        if outputs not in [(len(classes),), (1,)][: 1 + one_is_enough]:
            raise ValueError(
                f"y has {len(classes)} {'labels a row' if multilabel else 'classes'}, which take "
                f"{'1 or ' * one_is_enough}{len(classes)} outputs with {loss!r}, but those of the last layer, "
                f"{model[-1]!r}, have the shape {outputs}"
            )
        model.classes = None if multilabel else classes
        self.model_ = model

    def _targets(self, y: Array) -> Array:
        """The rows that the network is to answer: one-hot, or a column that is 1 for the second of two classes."""
        dtype = self.model_.dtype
        if self._multilabel:
            if y.shape[1:] != self.classes_.shape:
                raise ValueError(f"y has the shape {y.shape}; this network answers {len(self.classes_)} labels a row")
            return y.astype(dtype)
        (outputs,) = self.model_.output_shape((self.n_features_in_,))
        return LabelEncoder(self.classes_).targets(y, outputs, dtype)

    def _weighted(self, y: Array, sample_weight: Array | None) -> Array | None:
        """The weight of each row times that of its class."""
        if self.class_weight is None:
            return sample_weight
        if self._multilabel:
            raise ValueError("class_weight is for one class a row; for several labels, weigh the rows by sample_weight")
        weights = compute_sample_weight(self.class_weight, y)
        return weights if sample_weight is None else weights * sample_weight

    def predict(self, X: Rows) -> Array:
        """The most probable class of each row, (m,); of several labels, 1 for those that are more likely than not."""
        y = self._outputs(X)
        if self._multilabel:
            return (y >= self.loss_.boundary).astype(int)
        codes = (y[:, 0] >= self.loss_.boundary).astype(int) if y.shape[1] == 1 else y.argmax(axis=1)
        return self.classes_[codes]

    @available_if(lambda self: _has_probabilities(getattr(self, "loss_", self.loss)))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Rows) -> Array:
        """The probability of each class, (m, classes), or of each label; not for a loss of scores, such as Hinge."""
        check_is_fitted(self, "model_")
        y = _probabilities(self.loss_, self._outputs(X))
        if self._multilabel:
            return y
        if y.shape[1] == 1:
            return np.hstack([1 - y, y])
        if isinstance(self.loss_, BinaryCrossEntropy | BinaryCrossEntropyOnLogits):
            # A yes or no for each class need not sum to 1; the smallest normal number keeps 0 / 0 away.
            y = y + np.finfo(y.dtype).tiny
            y = y / y.sum(axis=1, keepdims=True)
        return y

    @available_if(lambda self: _has_probabilities(getattr(self, "loss_", self.loss)))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Rows) -> Array:
        """The logarithms of `predict_proba`; -inf where a probability is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


def _cross_entropy(last: Layer, multilabel: bool, single: bool) -> Loss:
    """The loss for a network of the user's that ends in this layer."""
    if isinstance(last, Sigmoid) or (multilabel and isinstance(last, Softmax)):
        return BinaryCrossEntropy()
    if isinstance(last, Softmax):
        return CategoricalCrossEntropy()
    if isinstance(last, LogSoftmax):
        return NegativeLogLikelihood()
    return BinaryCrossEntropyOnLogits() if multilabel or single else CategoricalCrossEntropyOnLogits()


def _has_probabilities(loss: Loss | None) -> bool:
    """Whether the outputs of a network trained with this loss are, or give, probabilities."""
    if loss is None or isinstance(loss, BinaryCrossEntropyOnLogits | NegativeLogLikelihood):
        return True
    return (loss.labels and loss.boundary == 0.5) or isinstance(loss, CategoricalCrossEntropyOnLogits)


def _probabilities(loss: Loss, y: Array) -> Array:
    """The probabilities that a network's outputs y stand for."""
    if isinstance(loss, BinaryCrossEntropyOnLogits):
        return sigmoid(y)
    if isinstance(loss, CategoricalCrossEntropyOnLogits):
        return softmax(y)
    return np.exp(y) if isinstance(loss, NegativeLogLikelihood) else y


class NetworkRegressor(RegressorMixin, Network):
    """A network that predicts one number a row, y (m,), or several, y (m, k).

    The loss is the mean squared error by default. Any loss will do; without `layers`, the network ends in what the loss
    needs: Softplus for Poisson, Sigmoid for BinaryCrossEntropy, else in the last Dense. A network learns numbers of
    about -3 to 3 best: for others, put it into scikit-learn's TransformedTargetRegressor with a StandardScaler.

    The arguments and what fitting leaves behind are NetworkClassifier's, without its classes.
    """

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's checks are to know: several numbers for a row are fine."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Rows, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """Train on the rows X (m, I) with numbers y (m,) or (m, k); `sample_weight` (m,) weighs the rows."""
        return self._learn(X, y, sample_weight, self.warm_start, self.epochs)

    def partial_fit(self, X: Rows, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """Make one pass over these rows. Raises ValueError for `early_stopping`."""
        self._refuse_early_stopping()
        return self._learn(X, y, sample_weight, True, 1)

    def _learn(self, X: Rows, y: Any, sample_weight: Any, go_on: bool, epochs: int) -> NetworkRegressor:
        go_on = go_on and hasattr(self, "model_")
        X, y, sample_weight = self._validate(X, y, sample_weight, reset=not go_on)
        y = y.astype(X.dtype)
        if not go_on:
            self.loss_: Loss = MeanSquaredError() if self.loss is None else self.loss
            self.model_: Sequential = self._start(X, self.loss_, 1 if y.ndim == 1 else y.shape[1])
        self._train(X, y, sample_weight, epochs)
        return self

    def predict(self, X: Rows) -> Array:
        """The predicted numbers, (m,) where the network has one output, else (m, k)."""
        y = self._outputs(X)
        return y[:, 0] if y.shape[1] == 1 else y
