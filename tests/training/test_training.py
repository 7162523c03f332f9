"""fit and epochs: reproducible, resumable, honest about what was trained on, and safe whatever ends training."""

import copy
import io
import math
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import minigrad
from minigrad import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits,
    ByPart,
    CategoricalCrossEntropy,
    ClipByNorm,
    ClipByValue,
    Dense,
    DivergenceError,
    History,
    Layer,
    Lion,
    Loss,
    MeanSquaredError,
    NAdam,
    Objective,
    Optimizer,
    ParameterAverage,
    RAdam,
    RMSprop,
    Rprop,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    parameter,
    state,
)
from minigrad.data.examples import Examples
from minigrad.data.split import split_rows
from minigrad.model import Model
from minigrad.parameter import states_of
from minigrad.schedules import cosine, warmup

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=settings.default.max_examples // 8)  # each example trains several networks
OPTIMIZERS: list[Callable[[], Optimizer]] = [
    SGD,
    Adam,
    AdamW,
    RMSprop,
    Adagrad,
    Adadelta,
    Adamax,
    NAdam,
    RAdam,
    Lion,
    Rprop,
    lambda: ByPart({0: SGD(0.5)}, default=Adam()),
    lambda: SGD(warmup(3, cosine(0.5, 20))),
    lambda: ClipByNorm(SGD(0.5), 0.05),
    lambda: ClipByValue(Adam(), 0.05),
    lambda: ParameterAverage(ClipByNorm(Adam(), 1.0), 0.9),
]


class Jitter(Layer):
    """y = x + e in training, with a stream, a counter and a running mean: all the state there is."""

    rng = state()
    count = state()
    mean = state()

    def __init__(self, size: float = 0.1, *, seed: int | None = None) -> None:
        self.size, self.seed = size, seed
        self.rng = np.random.default_rng(seed)
        self.count = 0
        self.mean = 0.0

    def forward(self, x: Any) -> Any:
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * x.mean()
        return x + (self.size * self.rng.normal(size=x.shape)).astype(x.dtype)

    def predict(self, x: Any) -> Any:
        return x

    def backward(self, dy: Any) -> Any:
        return dy


def network(outputs: int = 1, *last: Layer, seed: int = 0) -> Sequential:
    return Sequential([Dense(3, 4), Tanh(), Jitter(), Dense(4, outputs), *last], seed=seed)


def everything(model: Sequential, optimizer: Optimizer) -> list[Any]:
    """All that training changes, as comparable bytes."""
    jitter = model[2]
    assert isinstance(jitter, Jitter)
    held = [model.theta, jitter.count, jitter.mean, *(np.asarray(v) for v in optimizer.state().values())]
    return [*(array.tobytes() for array in held), jitter.rng.bit_generator.state]


def table(rows: int = 23, seed: int = 1) -> tuple[Any, Any]:
    """Three columns, and labels 0 and 1 that a line separates."""
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    return x, (x @ [1.0, -2.0, 0.5] > 0).astype(int)


def binary(**options: Any) -> dict[str, Any]:
    return {"loss": BinaryCrossEntropy(), "optimizer": SGD(0.5), "epochs": 2, "batch_size": 4} | options


def fitted(*last: Layer, x: Any = None, t: Any = None, outputs: int = 1, **options: Any) -> tuple[Sequential, History]:
    """A network of so many outputs (and these last layers) after two epochs on the table, or on x and t."""
    x, t = (own if given is None else given for own, given in zip(table(), (x, t), strict=True))
    model = network(outputs, *last)
    return model, model.fit(x, t, **binary(**options))


# Reproducible and resumable


@pytest.mark.parametrize("make", OPTIMIZERS)
@few
@given(
    parts=st.lists(st.integers(1, 3), min_size=1, max_size=3), batch_size=st.sampled_from([1, 5, 23, 40]), seed=seeds
)
def test_fits_in_a_row_are_one_fit(make: Callable[[], Optimizer], parts: list[int], batch_size: int, seed: int) -> None:
    x, t = table(11)
    options: dict[str, Any] = {
        "seed": seed,
        "batch_size": batch_size,
        "l2": 0.01,
        "augment": lambda x, rng: x + rng.normal(size=x.shape),
    }
    whole, parted, again = (network(1, Sigmoid(), seed=seed) for _ in range(3))
    optimizer, resumed, other = make(), make(), make()
    history = whole.fit(x, t, **binary(optimizer=optimizer, **options, epochs=sum(parts)))
    losses = [loss for n in parts for loss in parted.fit(x, t, **binary(optimizer=resumed, **options, epochs=n)).loss]
    assert losses == history.loss and len(history) == optimizer.epochs == sum(parts)
    assert optimizer.steps == sum(parts) * math.ceil(11 / batch_size)
    assert everything(parted, resumed) == everything(whole, optimizer)
    for epoch in again.epochs(x, t, loss=BinaryCrossEntropy(), optimizer=other, **options):
        if epoch.number == sum(parts):
            break
    assert everything(again, other) == everything(whole, optimizer)


def test_every_optimizer_is_here() -> None:
    own = {cls for cls in vars(minigrad).values() if isinstance(cls, type) and issubclass(cls, Optimizer)}
    assert own ^ {Optimizer, *(type(make()) for make in OPTIMIZERS)} == set(), "enter it in OPTIMIZERS"


def test_the_seed_orders_the_rows() -> None:
    thetas = [fitted(Sigmoid(), seed=seed)[0].theta.tobytes() for seed in (0, 0, 1, None, None)]
    assert thetas[0] == thetas[1] and len(set(thetas)) == 4


class Watched(Layer):
    """y = g x, which keeps the first column of every batch."""

    g, dg = parameter()

    def __init__(self) -> None:
        self.g = np.ones(1)
        self.seen: list[Any] = []

    def forward(self, x: Any) -> Any:
        self.x = x
        self.seen.append(x[:, 0].astype(int).tolist())
        return x * self.g

    def predict(self, x: Any) -> Any:
        return x * self.g

    def backward(self, dy: Any) -> Any:
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


@few
@given(rows=st.integers(1, 12), batch_size=st.integers(1, 15), shuffle=st.booleans(), seed=seeds)
def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone(
    rows: int, batch_size: int, shuffle: bool, seed: int
) -> None:
    x, t = table(rows)[0], np.arange(rows)[:, None] / 12
    model, twin = network(), network()
    optimizer, by_hand, objective = SGD(0.1), SGD(0.1), Objective(twin, MeanSquaredError())
    for k in range(3):
        options: dict[str, Any] = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed, "epochs": 1}
        model.fit(x, t, loss=MeanSquaredError(), optimizer=optimizer, **options)
        order = np.random.default_rng((seed, k)).permutation(rows) if shuffle else np.arange(rows)
        for i in range(0, rows, batch_size):
            objective.gradient(x[order[i : i + batch_size]], t[order[i : i + batch_size]].astype(np.float32))
            by_hand.step(twin.theta, twin.dtheta)
        np.testing.assert_array_equal(model.theta, twin.theta)


@few
@given(batch_size=st.sampled_from([1, 4, 11, 30]), l2=st.sampled_from([0.0, 0.1]), weighted=st.booleans(), seed=seeds)
def test_the_loss_is_the_row_weighted_mean_before_each_update(
    batch_size: int, l2: float, weighted: bool, seed: int
) -> None:
    x, t = table(11)
    w = np.random.default_rng(seed).integers(0, 3, 11).astype(float) if weighted else np.ones(11)
    w[0] = 1
    model, twin = network(1, Sigmoid()), network(1, Sigmoid())
    history = model.fit(x, t, **binary(batch_size=batch_size, l2=l2, seed=seed, sample_weight=w if weighted else None))
    objective, optimizer, losses = Objective(twin, BinaryCrossEntropy(), l2), SGD(0.5), []
    for k in range(2):
        order, total = np.random.default_rng((seed, k)).permutation(11), 0.0
        for i in range(0, 11, batch_size):
            rows = order[i : i + batch_size]
            if w[rows].any():  # a batch that weighs nothing is no step
                weights = w[rows] if weighted else None
                total += objective.gradient(x[rows], t[rows, None], weights) * w[rows].sum()
                optimizer.step(twin.theta, twin.dtheta)
        losses.append(total / w.sum())
    np.testing.assert_allclose(history.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(model.theta, twin.theta, rtol=1e-4, atol=1e-6)


def test_epochs_is_endless_and_leaks_nothing() -> None:
    x, t = table()
    model, optimizer = network(1, Sigmoid()), SGD(0.5)
    settings = np.geterr()
    passes = model.epochs(x, t, loss=BinaryCrossEntropy(), optimizer=optimizer)
    for number, epoch in enumerate(passes, 1):
        assert np.geterr() == settings and epoch.number == number and epoch.seconds > 0
        if number == 30:
            break
    assert optimizer.epochs == 30 and epoch.loss < 0.4
    passes.close()  # type: ignore[attr-defined]
    assert np.geterr() == settings
    assert next(model.epochs(x, t, loss=BinaryCrossEntropy(), optimizer=optimizer)).number == 31


# Validation and patience


@few
@given(fraction=st.sampled_from([0.1, 0.25, 0.5]), kind=st.sampled_from(["labels", "one-hot", "column"]), seed=seeds)
def test_a_validation_fraction_is_stratified_and_never_trained_on(fraction: float, kind: str, seed: int) -> None:
    labels = np.repeat([0, 1], [12, 28])
    x = np.arange(40.0)[:, None]
    t = {"labels": labels, "one-hot": np.eye(2)[labels], "column": labels[:, None]}[kind]
    outputs = 1 if kind == "column" else 2
    layer = Watched()
    model = Sequential([layer, Dense(1, outputs, seed=0), Sigmoid()])
    layer.seen.clear()
    history = model.fit(x, t, **binary(validation=fraction, seed=seed, optimizer=SGD(1e-4)))
    trained = {row for batch in layer.seen for row in batch} - {0}
    kept, held = split_rows(labels, fraction, seed=seed)
    assert trained == set(kept.tolist()) - {0}
    assert abs(labels[held].sum() - fraction * 28) < 1 and len(held) == round(fraction * 40)
    assert len(history.validation_loss) == len(history.metrics["validation_accuracy"]) == 2


def test_a_validation_pair_is_measured_after_each_epoch_without_penalty() -> None:
    xv, tv = table(9, seed=2)
    model, history = fitted(Sigmoid(), validation=(xv, tv), l2=0.5, epochs=3)
    truth = BinaryCrossEntropy().forward(model.predict(xv), tv[:, None].astype(np.float32))
    np.testing.assert_allclose(history.validation_loss[-1], truth, rtol=1e-5)
    assert history.metrics["validation_accuracy"][-1] == np.mean(model.predict_classes(xv) == tv)
    frame = history.to_frame()
    assert list(frame) == ["loss", "validation_loss", "validation_accuracy", "seconds"]
    assert frame.index.tolist() == [1, 2, 3] and frame.index.name == "epoch"
    alone, history = fitted(Sigmoid())
    assert "validation_loss" not in history.to_frame()
    watched, _ = fitted(Sigmoid(), validation=(xv, tv))
    np.testing.assert_array_equal(watched.theta, alone.theta)  # to be watched changes nothing


def test_regression_is_measured_by_r2_where_there_is_one() -> None:
    x, _ = table()
    options: dict[str, Any] = {"x": x, "t": x[:, 0], "loss": MeanSquaredError()}
    model, history = fitted(**options, optimizer=SGD(0.05), validation=0.3)
    assert len(history.metrics["validation_r2"]) == 2
    assert model.predict(x).shape == (23, 1) and model.classes is None
    _, history = fitted(**options, optimizer=SGD(0.05), validation=1)
    assert history.metrics == {} and len(history.validation_loss) == 2  # one row has no variance


class Worsening(Optimizer):
    """Steps of its own in good epochs; from epoch `turn` on, away from the minimum; then `ending`."""

    def __init__(self, turn: int, ending: BaseException | None = None, last: int = 99) -> None:
        super().__init__(0.2)
        self.turn, self.ending, self.last = turn, ending, last

    def coefficients(self, step: int) -> dict[str, float]:
        if self.epochs + 1 == self.last and self.ending is not None:
            raise self.ending
        if self.epochs + 1 == self.last:
            return {"eta": math.inf}
        return {"eta": -0.4 if self.epochs >= self.turn else 0.2}

    def update(self, theta: Any, dtheta: Any, *, eta: Any) -> None:  # type: ignore[override]
        theta -= eta * dtheta


@pytest.mark.parametrize("how", ["patience", "epochs", "interrupt", "error", "divergence"])
def test_patience_restores_the_best_parameters_and_state_whatever_ended_training(how: str) -> None:
    x, t = table()
    held = table(9, seed=2)
    model, reference = network(1, Sigmoid()), network(1, Sigmoid())
    reference.fit(x, t, **binary(optimizer=Worsening(3), epochs=3))
    ending = {"interrupt": KeyboardInterrupt(), "error": RuntimeError()}.get(how)
    optimizer = Worsening(3, ending, last=6 if how in ("interrupt", "error", "divergence") else 99)
    options = binary(optimizer=optimizer, validation=held, patience=3 if how == "patience" else 50)
    options["epochs"] = 5 if how == "epochs" else 20
    errors = {"interrupt": KeyboardInterrupt, "error": RuntimeError, "divergence": DivergenceError}
    if how in errors:
        with pytest.raises(errors[how]) as caught:
            model.fit(x, t, **options)
        if how == "divergence":
            history = caught.value.history
            assert len(history) == len(history.validation_loss) == 5 and history.best_epoch == 3
    else:
        history = model.fit(x, t, **options)
        assert len(history) == (6 if how == "patience" else 5)
        assert history.best_epoch == 3 == int(np.argmin(history.validation_loss)) + 1
    blank = SGD()
    assert everything(model, blank) == everything(reference, blank)


def test_options_that_make_no_sense() -> None:
    x, t = table()
    for wrong, message in [
        ({"patience": 3}, "patience watches the validation loss"),
        ({"patience": 0, "validation": 0.5}, "patience=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"validation": 1.5}, "not 1.5"),
        ({"validation": 20.0}, "validation=20.0, the test_size"),
        ({"validation": (x[:3], t)}, "validation: x has 3 rows, t has 23"),
        ({"l2": -1.0}, "l2=-1.0.* negative"),
        ({"l1": -1.0}, "l1=-1.0.* negative"),
        ({"class_weight": "even"}, "class_weight='even'"),
        ({"class_weight": {2: 1.0}}, "class_weight names 2, which is none of the classes 0, 1"),
        ({"class_weight": {1: -1.0}}, "class_weight of 1 is -1.0"),
        ({"class_weight": {0: math.nan}}, "class_weight of 0 is nan"),
        ({"class_weight": {0: 0, 1: 0}}, "23 rows for training all have weight 0"),
        ({"sample_weight": np.ones(22)}, r"shape \(22,\); 23 rows need \(23,\)"),
        ({"sample_weight": np.ones((23, 1))}, r"shape \(23, 1\)"),
        ({"sample_weight": -np.ones(23)}, "sample_weight of row 0 is -1.0"),
        ({"sample_weight": np.zeros(23)}, "all zero"),
        ({"sample_weight": np.full(23, 1e-300)}, "all have weight 0 in float32"),
        ({"sample_weight": np.full(23, 1e38)}, "23 rows for training add up to more than float32 .* by their mean"),
        ({"sample_weight": np.full(23, 1e30), "class_weight": {0: 1e30}}, "add up to more than float32 can hold"),
        ({"sample_weight": np.eye(23)[0], "validation": 0.4}, "rows for (training|validation) all have weight 0"),
        ({"class_weight": {1: 0}, "validation": (x, np.ones(23, int))}, "23 rows for validation all have weight 0"),
    ]:
        model = network(1, Sigmoid())
        theta = model.theta.copy()
        with pytest.raises(ValueError, match=message):
            model.fit(x, t, **binary(**wrong))
        np.testing.assert_array_equal(model.theta, theta)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": "20"}, "epochs='20' is no whole number"),
        ({"epochs": 2.5}, "epochs=2.5 is no whole number"),
        ({"batch_size": None}, "batch_size=None is no whole number"),
        ({"patience": "3", "validation": 0.5}, "patience='3' is no whole number"),
        (
            {"loss": BinaryCrossEntropy},
            r"loss=BinaryCrossEntropy is a class; make one of it: loss=BinaryCrossEntropy\(",
        ),
        ({"loss": "mse"}, r"loss='mse' is no loss; write loss=MeanSquaredError\(\)"),
        ({"loss": SGD(0.5)}, r"loss=SGD\(learning_rate=0.5\) is no loss"),
        ({"optimizer": SGD}, r"optimizer=SGD is a class; make one of it: optimizer=SGD\("),
        ({"optimizer": "adam"}, r"optimizer='adam' is no optimizer; write optimizer=Adam\(\)"),
        ({"validation": [0.1]}, r"validation=\[0.1\]: give a fraction of the rows, such as 0.1, or a pair \(x, t\)"),
        ({"validation": (1, 2, 3)}, r"validation=\(1, 2, 3\): give a fraction"),
        ({"l2": "small"}, "l2='small' is no number"),
        ({"class_weight": 3}, "class_weight=3: give a mapping from label to weight, or 'balanced'"),
        ({"augment": 3}, r"augment=3: give a function of \(x, rng\), such as minigrad.data.augment.shifts\(2\)"),
    ],
)
def test_arguments_of_the_wrong_kind_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        fitted(Sigmoid(), **wrong)


def test_categorical_cross_entropy_after_a_sigmoid_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """It brings all outputs to 1: a loss near 0, and answers at random."""
    fitted(Sigmoid(), outputs=2, loss=CategoricalCrossEntropy())
    assert "end the model in Softmax(), or train with BinaryCrossEntropy()" in caplog.text


def test_a_column_of_labels_is_told_how_to_become_labels() -> None:
    with pytest.raises(ValueError, match=r"t has rows of shape \(1,\).*one-dimensional: t\[:, 0\]"):
        fitted(Softmax(), t=table()[1][:, None], outputs=2, loss=CategoricalCrossEntropy())


# Labels and targets


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (1, 10, np.array),
        (1, 10, pd.Series),
        ("no", "yes", list),
        ("no", "yes", np.array),
        ("no", "yes", pd.Series),
        (False, True, pd.Series),
        (-1.0, 1.0, list),
        (np.str_("a"), np.str_("b"), list),
    ],
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_labels_of_any_kind_come_back(first: Any, second: Any, outputs: int, kind: Any) -> None:
    x, t = table()
    labels = [second if code else first for code in t]
    model = network(outputs, Sigmoid())
    history = model.fit(x, kind(labels), **binary(epochs=40, validation=(x, kind(labels))))
    answered = model.predict_classes(x).tolist()
    assert set(answered) == {first, second} and type(answered[0]) in (type(first), str)
    agreement = np.mean([a == b for a, b in zip(answered, labels, strict=True)])
    assert agreement > 0.9 and history.metrics["validation_accuracy"][-1] == agreement


def test_the_tutorials_labels() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(1, 11), 5)
    x = np.eye(10)[labels - 1] + 0.05 * rng.normal(size=(50, 10))
    for last, loss in ((Softmax(), CategoricalCrossEntropy()), (Sigmoid(), BinaryCrossEntropy())):
        model = Sequential([Dense(10, 10, seed=0), last])
        model.fit(x, labels, loss=loss, optimizer=Adam(0.1), epochs=20)
        np.testing.assert_array_equal(model.predict_classes(x), labels)
        hot = Sequential([Dense(10, 10, seed=0), copy.copy(last)])
        hot.fit(x, np.eye(10)[labels - 1], loss=loss, optimizer=Adam(0.1), epochs=20)
        np.testing.assert_array_equal(hot.theta, model.theta)  # a one-hot matrix says the same
        np.testing.assert_array_equal(hot.predict_classes(x), labels - 1)


def test_several_labels_at_once() -> None:
    x, _ = table(40)
    t = (x > 0).astype(int)
    model = network(3, Sigmoid())
    history = model.fit(x, t, **binary(epochs=60, validation=(x, t), optimizer=Adam(0.05)))
    right = ((model.predict(x) >= 0.5) == t).all(axis=1).mean()
    assert right > 0.8 and history.metrics["validation_accuracy"][-1] == right


def test_a_second_fit_knows_the_labels_of_the_first() -> None:
    x, t = table()
    words = np.array(["ham", "spam"])[t]
    model = network(1, Sigmoid())
    model.fit(x, words, **binary())
    model.fit(x[:3], np.array(["spam"] * 3), **binary())  # not all of them need to occur
    with pytest.raises(ValueError, match=r"label 'eggs'; this model has been trained on 'ham', 'spam'"):
        model.fit(x, np.where(t, "ham", "eggs"), **binary())
    assert model.classes is not None and model.classes.tolist() == ["ham", "spam"]


@pytest.mark.parametrize(
    ("outputs", "t", "message"),
    [
        (2, np.arange(23) % 3, r"3 classes \(0, 1, 2\), which take 3 outputs, .* shape \(2,\)"),
        (3, np.arange(23) % 2, r"2 classes \(0, 1\), which take 1 or 2 outputs, .* shape \(3,\)"),
        (1, np.arange(23) % 3, r"3 classes"),
        (1, np.zeros(23, int), r"one class only: all 23 labels are 0.*Add rows of another class; .*t\[:, None\]"),
        (2, np.arange(22) % 2, "x has 23 rows, t has 22"),
        (2, np.eye(3)[np.arange(23) % 3], r"t has rows of shape \(3,\), but the model's outputs .* \(2,\)"),
        (1, np.full((23, 1), 2), r"t is 2 in row 0, column 0, outside \[0, 1\]; .*one-dimensional"),
        (2, np.eye(2)[np.arange(23) % 2] - 0.5, r"t is -0.5 in row 0, column 1"),
        (2, [0.5] * 23, "0.5 is no class label"),
        (2, ["a"] * 22 + [None], "row 22: the label is missing"),
        (2, np.eye(2)[[*[0] * 22, 1]] * [1, np.nan], "t is nan in row 0, column 1"),
    ],
)
def test_targets_that_do_not_fit(outputs: int, t: Any, message: str) -> None:
    x, _ = table()
    model = network(outputs, Sigmoid())
    with pytest.raises(ValueError, match=message):
        model.fit(x, t, **binary())
    assert model.classes is None


def test_labels_for_a_regression_loss() -> None:
    with pytest.raises(ValueError, match="train with a cross-entropy instead of MeanSquaredError"):
        fitted(outputs=2, loss=MeanSquaredError())
    with pytest.raises(ValueError, match="t is 'a' in row 0: not a number"):
        fitted(t=["a"] * 23, loss=MeanSquaredError())


@few
@given(row=st.integers(0, 22), column=st.integers(0, 2), value=st.sampled_from([math.nan, math.inf, -math.inf, 1e39]))
def test_numbers_that_are_none_are_named_by_row_and_column(row: int, column: int, value: float) -> None:
    x, _ = table()
    x[row, column] = value
    why = "too large for float32" if value == 1e39 else "not a finite number"
    frame, ones, squares = pd.DataFrame(x, columns=["age", "height", "weight"]), np.ones((23, 3)), MeanSquaredError()
    wrong: list[tuple[str, dict[str, Any]]] = [
        (rf"^x is .* in row {row}, column {column}: {why}", {"x": x}),
        (rf"row {row}, column '{frame.columns[column]}': {why}", {"x": frame}),
        (rf"^t is .* in row {row}, column {column}", {"x": ones, "t": x, "outputs": 3, "loss": squares}),
        (rf"^t is .* in row {row}: ", {"x": ones, "t": x[:, column], "loss": squares}),
    ]
    for message, options in wrong:
        with pytest.raises(ValueError, match=message):
            fitted(Sigmoid(), **options)
    if value != 1e39:
        return
    double = Sequential([Dense(3, 1)], np.float64)
    double.fit(x, x[:, 0] * 0, **binary(loss=MeanSquaredError(), optimizer=SGD(0.0)))  # float64 holds it


@pytest.mark.parametrize("text", ["n/a", None, "", pd.NA])
def test_text_is_named_by_row_and_column(text: Any) -> None:
    frame = pd.DataFrame(table()[0], columns=["age", "height", "weight"]).astype(object)
    frame.iloc[4, 1] = text
    for x, column in ((frame, "'height'"), (frame.to_numpy().tolist(), "1")):
        with pytest.raises(ValueError, match=rf"^x is .* in row 4, column {column}: not a number"):
            fitted(Sigmoid(), x=x)


def test_rows_of_unequal_length() -> None:
    with pytest.raises(ValueError, match="x is no table: its rows differ in length"):
        fitted(Sigmoid(), x=[[1, 2, 3], [1, 2]], t=[0, 1])
    with pytest.raises(ValueError, match="x has no rows"):
        fitted(Sigmoid(), x=np.zeros((0, 3)), t=[])


def test_pixels_pictures_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigrad.data.examples.NUMBERS_AT_ONCE", 4)
    x = np.zeros((5, 2, 2))
    x[3, 1, 0] = np.inf
    with pytest.raises(ValueError, match=r"x is inf in row 3, position \(1, 0\)"):
        Sequential([Tanh()]).fit(x, x, **binary(loss=MeanSquaredError()))
    pixels = np.arange(69, dtype=np.uint8).reshape(23, 3)
    whole, floats = (fitted(Sigmoid(), x=x, optimizer=SGD(0.01))[0] for x in (pixels, pixels.astype(float)))
    np.testing.assert_array_equal(whole.theta, floats.theta)


# Weights


@few
@given(seed=seeds, batch_size=st.integers(1, 30))
def test_weights_of_one_are_no_weights(seed: int, batch_size: int) -> None:
    options: dict[str, Any] = {"outputs": 2, "loss": CategoricalCrossEntropy(), "seed": seed, "batch_size": batch_size}
    plain, history = fitted(Softmax(), **options)
    for weights in ({"sample_weight": np.ones(23)}, {"class_weight": {0: 1, 1: 1.0}}):
        model, weighted = fitted(Softmax(), **options, **weights)
        assert weighted.loss == history.loss
        np.testing.assert_array_equal(model.theta, plain.theta)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("also", [False, True])
def test_class_weights_are_sample_weights(balanced: bool, also: bool) -> None:
    _, t = table()
    words = np.array(["ham", "spam"])[t]
    counts = np.bincount(t)
    per_class = 23 / (2 * counts) if balanced else np.array([1.0, 3.0])
    assert not balanced or np.allclose(per_class * counts, 11.5)  # each class weighs the same in sum
    own = np.random.default_rng(0).uniform(0.5, 2, 23) if also else np.ones(23)
    weight: Any = "balanced" if balanced else {"spam": 3}
    by_class, first = fitted(Sigmoid(), t=words, class_weight=weight, sample_weight=own if also else None)
    by_row, second = fitted(Sigmoid(), t=words, sample_weight=own * per_class[t])
    assert first.loss == second.loss
    np.testing.assert_array_equal(by_class.theta, by_row.theta)
    with pytest.raises(ValueError, match="class_weight needs t to be labels"):
        fitted(Sigmoid(), t=t[:, None], class_weight=weight)


def test_rows_of_weight_zero_are_not_there() -> None:
    x, t = table()
    w = np.arange(23) % 2
    x[w == 0] = 1e6  # whatever they hold
    options: dict[str, Any] = {"batch_size": 1, "shuffle": False, "epochs": 1}
    model, history = fitted(Sigmoid(), x=x, t=t, sample_weight=w, **options)
    fewer, shorter = fitted(Sigmoid(), x=x[w == 1], t=t[w == 1], **options)
    assert history.loss == shorter.loss
    np.testing.assert_array_equal(model.theta, fewer.theta)


# Augmented rows


@given(batch_size=st.sampled_from([1, 4, 11, 30]), begun=st.integers(0, 2), seed=seeds)
def test_augment_is_given_every_batch_once_and_a_stream_of_the_epoch(batch_size: int, begun: int, seed: int) -> None:
    x, t = table(11)
    model, optimizer, seen, draws = network(1, Sigmoid()), SGD(0.1), [], []
    kept, optimizer.epochs = x.copy(), begun

    def look(rows: Any, rng: np.random.Generator) -> Any:
        seen.append(rows.copy())
        draws.append(rng.random())
        rows[...] = np.nan
        return np.zeros((len(rows), 3))

    model.fit(x, t, **binary(optimizer=optimizer, augment=look, batch_size=batch_size, seed=seed))
    batches = math.ceil(11 / batch_size)
    assert np.array_equal(x, kept) and len(seen) == 2 * batches
    for k in range(2):
        order = np.random.default_rng((seed, begun + k)).permutation(11)
        given = np.concatenate(seen[k * batches : (k + 1) * batches])
        assert given.dtype == np.float32 and np.array_equal(given, x[order].astype(np.float32))
        stream = np.random.default_rng((seed, begun + k, 2))
        assert draws[k * batches : (k + 1) * batches] == [stream.random() for _ in range(batches)]


@few
@given(recorded=st.booleans(), seed=seeds)
def test_augmented_rows_are_what_is_trained_on(recorded: bool, seed: int) -> None:
    x, t = table(12)
    model, twin = network(1, Sigmoid()), network(1, Sigmoid())
    before, Model.steps_by_hand = Model.steps_by_hand, 0 if recorded else 10**9
    try:
        model.fit(x, t, **binary(augment=lambda rows, _: 2 * rows, seed=seed))
    finally:
        Model.steps_by_hand = before
    twin.fit(2 * x, t, **binary(seed=seed))
    assert np.array_equal(model.theta, twin.theta)


def test_rows_of_another_shape_are_no_augmented_rows() -> None:
    for wrong in (lambda rows, rng: rows[:1], lambda rows, rng: None, lambda rows, rng: rows[:, :2]):
        with pytest.raises(ValueError, match=r"augment=.* was given x of shape \(4, 3\) and returned \("):
            fitted(Sigmoid(), augment=wrong)


def test_a_divergence_on_augmented_rows_is_told_and_undone() -> None:
    x, t = table()
    model = Sequential([Dense(3, 1)], seed=0)
    before = model.theta.copy()

    def grow(rows: Any, rng: np.random.Generator) -> Any:
        return np.full_like(rows, 1e30 if rng.random() < 0.5 else 1.0)

    number = 1 + next(k for k, u in enumerate(np.random.default_rng((0, 0, 2)).random(6)) if u < 0.5)
    with pytest.raises(DivergenceError, match=rf"^epoch 1, batch {number}: "):
        model.fit(x, t, loss=MeanSquaredError(), optimizer=SGD(0.01), epochs=2, batch_size=4, augment=grow)
    assert np.array_equal(model.theta, before)


# Divergence


class Trap(Layer):
    """y = x; the loss, the gradient or the step is not finite from the batch that holds the row 13 on, in `epoch`."""

    w, dw = parameter()
    count = state()

    def __init__(self, where: str, epoch: int) -> None:
        self.where, self.epoch = where, epoch
        self.w = np.zeros(2)
        self.count = 0

    def forward(self, x: Any) -> Any:
        self.count += (x == 13).any()
        self.sprung = self.count >= self.epoch and (x == 13).any()
        return x * (np.nan if self.sprung and self.where == "loss" else 1)

    def backward(self, dy: Any) -> Any:
        self.dw = np.full(2, {"gradient": np.nan, "step": 3e38}.get(self.where, 0) if self.sprung else 0.0)
        return dy


@pytest.mark.parametrize(
    ("where", "what", "optimizer"),
    [
        ("loss", "the loss is nan", SGD(10.0, momentum=0.9)),
        ("loss", "the loss is nan", Adam(0.1)),
        ("gradient", "the gradient is not finite", SGD(10.0, momentum=0.9)),
        ("gradient", "the gradient is not finite", Adam(0.1)),
        ("step", "the step makes the parameters infinite", SGD(10.0, momentum=0.9)),
    ],
)
@pytest.mark.parametrize("epoch", [1, 3])
def test_divergence_is_told_and_undone(where: str, what: str, epoch: int, optimizer: Optimizer) -> None:
    x, optimizer = np.arange(23.0)[:, None], copy.deepcopy(optimizer)
    layers = [Trap(where, epoch), Jitter(0.0, seed=0)]
    model, reference = Sequential(layers), Sequential(copy.deepcopy(layers))
    options: dict[str, Any] = {"loss": MeanSquaredError(), "batch_size": 4, "seed": 7}
    twin = copy.deepcopy(optimizer)
    if epoch > 1:
        reference.fit(x, x, optimizer=twin, epochs=epoch - 1, **options)
    else:
        twin.prepare(reference.theta)
    order = np.random.default_rng((7, epoch - 1)).permutation(23)
    batch = int(np.flatnonzero(order == 13)[0]) // 4 + 1
    with pytest.raises(DivergenceError, match=rf"^epoch {epoch}, batch {batch}: {what}.*learning rate") as caught:
        model.fit(x, x, optimizer=optimizer, epochs=5, **options)
    assert repr(optimizer) in str(caught.value) and len(caught.value.history) == epoch - 1
    for name, value in twin.state().items():
        np.testing.assert_array_equal(optimizer.state()[name], value)
    np.testing.assert_array_equal(model.theta, reference.theta)
    for layer, other in zip(model, reference, strict=True):
        for name, value in states_of(layer).items():
            if name == "rng":
                assert value.bit_generator.state == states_of(other)[name].bit_generator.state
            else:
                np.testing.assert_array_equal(value, states_of(other)[name])


def test_a_divergence_survives_a_pool_of_processes() -> None:
    error = pickle.loads(pickle.dumps(DivergenceError("epoch 2, batch 1: …", History([0.5]))))
    assert str(error) == "epoch 2, batch 1: …" and error.history == History([0.5])


# Large arrays, and the bar


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8])
def test_a_memory_mapped_x_is_not_copied(tmp_path: Any, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = table()
    path = tmp_path / "x.npy"
    np.save(path, (50 * x).clip(0).astype(kind))
    mapped = np.load(path, mmap_mode="r")
    made: list[Examples] = []

    class Recording(Examples):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr("minigrad.training.dataset.Examples", Recording)
    models = [fitted(Sigmoid(), x=x, validation=0.2, optimizer=SGD(0.01))[0] for x in (mapped, np.array(mapped))]
    assert np.shares_memory(made[0].x, mapped)
    np.testing.assert_array_equal(models[0].theta, models[1].theta)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("screen", "progress", "shown"),
    [(io.StringIO, None, False), (io.StringIO, True, True), (Terminal, None, True), (Terminal, False, False)],
)
def test_a_bar_is_shown_where_it_can_be_seen(screen: Any, progress: Any, shown: bool, monkeypatch: Any) -> None:
    seen = screen()
    monkeypatch.setattr(sys, "stderr", seen)
    fitted(Sigmoid(), progress=progress)
    assert ("training" in seen.getvalue()) == shown


@pytest.mark.parametrize(("last", "loss"), [([Sigmoid()], BinaryCrossEntropy()), ([], BinaryCrossEntropyOnLogits())])
def test_one_output_is_the_second_class_from_the_losss_boundary_on(last: list[Layer], loss: Loss) -> None:
    x = np.linspace(-1, 1, 40)[:, None]
    labels = np.where(x[:, 0] > 0, "above", "below")
    model = Sequential([Dense(1, 1, seed=0), *last])
    model.fit(x, labels, **binary(loss=loss, epochs=1))
    model.theta[...] = [0.4, 0]  # between 0 and 1: the boundary 0.5 would be wrong for logits, 0 for probabilities
    answered = model.predict_classes(x)
    np.testing.assert_array_equal(answered, np.where(x[:, 0] > 0, "below", "above"))
    history = model.fit(x, labels, **binary(loss=loss, optimizer=SGD(0.0), validation=(x, labels), epochs=1))
    assert history.metrics["validation_accuracy"] == [0.0]
