"""Trainings as files: one that was stopped goes on bit for bit, and another one is told from it by name."""

import copy
import math
import subprocess
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

import minigrad
from minigrad import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    BinaryCrossEntropy,
    ByPart,
    CategoricalCrossEntropy,
    ClipByNorm,
    ClipByValue,
    Dense,
    DivergenceError,
    History,
    Lion,
    MeanSquaredError,
    ModelFileError,
    NAdam,
    Optimizer,
    ParameterAverage,
    RAdam,
    ReLU,
    RMSprop,
    Rprop,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    load,
)
from minigrad.saving import checkpoint, settings
from minigrad.saving.checkpoint import Checkpoint
from minigrad.saving.format import decode
from minigrad.saving.settings import in_words
from minigrad.schedules import cosine, warmup
from tests.saving.material import Noise, same, small, write_forged

ROOT = Path(__file__).parents[2]


def halved(step):
    return 0.5 / (1 + step)


def decaying(rate):
    return lambda step: rate / (1 + 0.1 * step)


OPTIMIZERS = {
    "SGD": lambda: SGD(0.5),
    "SGD with momentum": lambda: SGD(0.1, momentum=0.9),
    "SGD with Nesterov's": lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "SGD with a schedule": lambda: SGD(halved),
    "SGD with a closure": lambda: SGD(decaying(0.2)),
    "Adam": lambda: Adam(0.01),
    "AdamW": lambda: AdamW(0.01),
    "RMSprop": lambda: RMSprop(0.01),
    "RMSprop with momentum": lambda: RMSprop(0.01, momentum=0.5),
    "Adagrad": lambda: Adagrad(0.1),
    "NAdam": lambda: NAdam(0.01),
    "Adadelta": lambda: Adadelta(),
    "Adamax": lambda: Adamax(0.01),
    "RAdam": lambda: RAdam(0.01),
    "Lion": lambda: Lion(0.001),
    "Rprop": lambda: Rprop(0.01),
    "ByPart": lambda: ByPart({0: SGD(0.1, momentum=0.9)}, default=Adam(0.01)),
    "a schedule of the package": lambda: SGD(warmup(5, cosine(3.0, 40))),
    "ClipByNorm": lambda: ClipByNorm(SGD(0.1, momentum=0.9), 0.1),
    "ClipByValue": lambda: ClipByValue(Adam(0.01), 0.1),
    "ParameterAverage": lambda: ParameterAverage(ClipByNorm(Adam(0.01), 0.1), 0.9),
}
X = np.random.default_rng(3).normal(size=(30, 3))
LABELS = np.where(X @ [1, -2, 0.5] + 0.5 * np.random.default_rng(4).normal(size=30) > 0, "yes", "no")


def jittered(x, rng):
    return x + rng.normal(0, 0.3, x.shape)


def noisy():
    return Sequential([Dense(3, 4), Noise(4, seed=1), Tanh(), Dense(4, 1), Sigmoid()], seed=2)


class Interrupted(Exception):
    pass


class Interrupting(BinaryCrossEntropy):
    """BinaryCrossEntropy, until it has been asked often enough."""

    __qualname__ = "BinaryCrossEntropy"
    left = math.inf

    def absorb(self, layer):
        return None

    def value(self, p, t, sample_weight=None):
        self.left -= 1
        if self.left < 0:
            raise Interrupted
        return super().value(p, t, sample_weight)


def test_checkpoint_is_tried_with_every_optimizer():
    own = {cls.__name__ for cls in vars(minigrad).values() if isinstance(cls, type) and issubclass(cls, Optimizer)}
    assert own - {"Optimizer"} == {type(make()).__name__ for make in OPTIMIZERS.values()}


@given(
    make=st.sampled_from(sorted(OPTIMIZERS)).map(OPTIMIZERS.get),
    batch_size=st.sampled_from([1, 7, 30]),
    patience=st.sampled_from([None, 1, 2, 50]),
    validation=st.sampled_from([None, 0.3, (X[:8], LABELS[:8])]),
    l2=st.sampled_from([0.0, 0.01]),
    l1=st.sampled_from([0.0, 0.01]),
    augment=st.sampled_from([None, jittered]),
    weight=st.sampled_from([None, "balanced"]),
    stops=st.lists(st.integers(1, 150), min_size=1, max_size=3),
    epochs=st.integers(1, 12),
)
def test_resumed_training_is_bit_for_bit_an_uninterrupted_one(
    path, make, batch_size, patience, validation, l2, l1, augment, weight, stops, epochs
):
    if validation is None:
        patience = None
    options = {"batch_size": batch_size, "validation": validation, "patience": patience, "l2": l2, "l1": l1}
    options |= {"augment": augment, "class_weight": weight, "epochs": epochs}
    whole, optimizer = noisy(), make()
    history = whole.fit(X, LABELS, loss=Interrupting(), optimizer=optimizer, **options)

    path.unlink(missing_ok=True)
    checkpoint.SECONDS_BETWEEN, before = 0, checkpoint.SECONDS_BETWEEN
    try:
        for stop in (*stops, math.inf):
            resumed, loss, other = noisy(), Interrupting(), make()
            loss.left = stop
            try:
                again = resumed.fit(X, LABELS, loss=loss, optimizer=other, checkpoint=path, **options)
            except Interrupted:
                continue
    finally:
        checkpoint.SECONDS_BETWEEN = before

    assert same(whole, resumed) and same(whole, load(path))
    assert other.state().keys() == optimizer.state().keys()
    for name, value in optimizer.state().items():
        np.testing.assert_array_equal(other.state()[name], value)
    for name in ("loss", "validation_loss", "metrics", "best_epoch"):
        assert getattr(again, name) == getattr(history, name)
    assert len(again.seconds) == len(history.seconds)
    assert load(path).classes.tolist() == ["no", "yes"]


@pytest.mark.parametrize("stop", range(1, 8))
def test_early_stopping_resumes_before_and_after_the_best_epoch(tmp_path, stop):
    options = {"loss": BinaryCrossEntropy(), "validation": (X[:8], LABELS[:8]), "seed": 1}
    whole, resumed = noisy(), noisy()
    expected = whole.fit(X, LABELS, optimizer=SGD(3.0), epochs=20, patience=4, **options)
    assert 1 < expected.best_epoch == len(expected) - 4
    for epochs in (stop, 20):
        resumed = noisy()
        history = resumed.fit(
            X, LABELS, optimizer=SGD(3.0), epochs=epochs, patience=4, checkpoint=tmp_path / "checkpoint", **options
        )
    assert (history.validation_loss, history.best_epoch) == (expected.validation_loss, expected.best_epoch)
    assert same(resumed, whole) and same(load(tmp_path / "checkpoint"), whole)


@pytest.mark.parametrize("patience", [None, 2])
def test_resume_of_a_finished_training_with_more_epochs(path, patience):
    def trained(epochs, patience=patience, checkpoint=path):
        options = {"loss": BinaryCrossEntropy(), "optimizer": Adam(0.1), "validation": 0.3, "patience": patience}
        model = noisy()
        return model, model.fit(X, LABELS, epochs=epochs, checkpoint=checkpoint, **options)

    path.unlink(missing_ok=True)
    first, _ = trained(3)
    written = path.read_bytes()
    model, history = trained(2)
    assert len(history) == 3 and path.read_bytes() == written and same(model, first)
    model, history = trained(9, patience and 9)
    whole, expected = trained(9, patience and 9, checkpoint=None)
    assert same(model, whole) and history.loss == expected.loss and history.best_epoch == expected.best_epoch


CONTINUED = """
import os, sys
import numpy as np
from minigrad import AdamW, Dense, MeanSquaredError, Sequential, Tanh
from minigrad.saving import checkpoint

checkpoint.SECONDS_BETWEEN = 0
path, kill = sys.argv[1], int(sys.argv[2])
x = np.random.default_rng(0).normal(size=(50, 3))
model = Sequential([Dense(3, 5), Tanh(), Dense(5, 1)], seed=0)

class Killing(MeanSquaredError):
    calls = 0
    __qualname__ = "MeanSquaredError"
    def value(self, *arguments):
        self.calls += 1
        if self.calls == kill:
            os._exit(9)
        return super().value(*arguments)

kept = None if path == "-" else path
history = model.fit(x, x[:, 0] ** 2, loss=Killing(), optimizer=AdamW(0.01), epochs=6, checkpoint=kept)
print(model.theta.tobytes().hex(), history.loss)
"""


def test_killed_training_resumes_in_a_new_process(tmp_path):
    def run(path, kill):
        command = [sys.executable, "-W", "error", "-c", CONTINUED, str(path), str(kill)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == (9 if kill else 0), done.stderr
        return done.stdout

    path = tmp_path / "checkpoint"
    run(path, 6)
    assert len(decode(path.read_bytes())[1]["checkpoint.history.loss"]) == 2
    assert run(path, 0) == run("-", 0)


def begin(path, **changed):
    """Train for two epochs with everything as always, but for what is changed."""
    options = {
        "model": noisy(),
        "x": X,
        "t": LABELS,
        "loss": BinaryCrossEntropy(),
        "optimizer": Adam(0.01),
        "epochs": 2,
        "validation": 0.3,
        "patience": 5,
    } | changed
    model, x, t = (options.pop(name) for name in ("model", "x", "t"))
    return model, model.fit(x, t, checkpoint=path, **options)


def is_resumed(path, *, epochs=4, **options):
    """Whether the training goes on from its checkpoint to so many epochs."""
    _, history = begin(path, epochs=epochs, **options)
    return len(history) == epochs


def assert_refused(path, words, **options):
    """A training that the checkpoint does not belong to is refused in these words, on one line."""
    with pytest.raises(ValueError, match=f"checkpoint is the checkpoint of another training: .*{words}") as caught:
        begin(path, epochs=4, **options)
    assert "\n" not in str(caught.value)


DIFFERENCES = {
    r"its optimizer is Adam\(learning_rate=0.01, .*, here it is Adam\(learning_rate=0.02,": {"optimizer": Adam(0.02)},
    r"its optimizer is Adam\(.*, here it is SGD\(": {"optimizer": SGD(0.01)},
    r"here it is Adam\(learning_rate=.*halved": {"optimizer": Adam(halved)},
    r"here it is Adam\(learning_rate=.*decaying.<locals>.<lambda> with 0.5": {"optimizer": Adam(decaying(0.5))},
    r"here it is ClipByNorm\(optimizer=Adam\(learning_rate=0.01, .*\), limit=2.0\)": {
        "optimizer": ClipByNorm(Adam(0.01), 2.0)
    },
    r"here it is Adam\(learning_rate=warmup\(steps=5, schedule=cosine\(learning_rate=0.1, steps=9,": {
        "optimizer": Adam(warmup(5, cosine(0.1, 9)))
    },
    r"its augment is None, here it is .*jittered": {"augment": jittered},
    r"its l1 is 0.0, here it is 0.1": {"l1": 0.1},
    r"its loss is BinaryCrossEntropy\(.*\), here it is CategoricalCrossEntropy": {
        "loss": CategoricalCrossEntropy(),
        "model": Sequential([Dense(3, 4), Noise(4, seed=1), Tanh(), Dense(4, 2), Softmax()], seed=2),
    },
    "its batch_size is 32, here it is 16": {"batch_size": 16},
    "its l2 is 0.0, here it is 0.1": {"l2": 0.1},
    "its seed is 0, here it is None": {"seed": None, "validation": (X[:5], LABELS[:5])},
    "its shuffle is True, here it is False": {"shuffle": False},
    "its early stopping is True, here it is False": {"patience": None},
    "its data is '21 rows of .*', here it is '15 rows of": {"validation": 0.5},
    "its data is '21 rows of .*', here it is '21 rows of": {"x": X + 1e-9},
    "its data is": {"t": np.roll(LABELS, 1)},
    r"its model.layers\[2\].class is Tanh, here it is ReLU": {
        "model": Sequential([Dense(3, 4), Noise(4, seed=1), ReLU(), Dense(4, 1), Sigmoid()], seed=2)
    },
    r"its model.layers has 5 items, here it has 6": {
        "model": Sequential([Dense(3, 4), Noise(4, seed=1), Tanh(), Dense(4, 1), Sigmoid(), Sigmoid()], seed=2)
    },
    "its model.seed is 2, here it is 3": {
        "model": Sequential([Dense(3, 4), Noise(4, seed=1), Tanh(), Dense(4, 1), Sigmoid()], seed=3)
    },
}


@pytest.mark.parametrize("message", DIFFERENCES)
def test_checkpoint_of_another_training_is_refused_by_its_difference(tmp_path, message):
    path, changed = tmp_path / "checkpoint", dict(DIFFERENCES[message])
    begin(path)
    written = path.read_bytes()
    model, optimizer = changed.pop("model", noisy()), changed.pop("optimizer", Adam(0.01))
    theta, counts = model.theta.copy(), optimizer.state()
    assert_refused(path, message, model=model, optimizer=optimizer, **changed)
    assert path.read_bytes() == written
    assert np.array_equal(model.theta, theta) and optimizer.state() == counts


MANY = np.random.default_rng(1).normal(size=(2000, 3)).astype(np.float32)
RARE = np.where(np.isin(np.arange(2000), [5, 778, 1901]), "rare", "usual")
ONE_LABEL, ONE_NUMBER, ONE_WEIGHT = RARE.copy(), MANY.copy(), np.ones(2000)
ONE_LABEL[1], ONE_NUMBER[1, 2], ONE_WEIGHT[1] = "rare", 9, 2


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("data", {"x": ONE_NUMBER}),
        ("data", {"t": ONE_LABEL}),
        ("data", {"sample_weight": ONE_WEIGHT}),
        ("data", {"class_weight": {"rare": 500}}),
        ("validation", {"validation": (ONE_NUMBER, RARE)}),
    ],
)
def test_checkpoint_is_refused_where_one_row_of_many_is_another(tmp_path, name, changed):
    options = {
        "x": MANY,
        "t": RARE,
        "validation": (MANY, RARE),
        "batch_size": 500,
        "sample_weight": np.ones(2000),
        "class_weight": {"rare": 50},
    }
    begin(tmp_path / "checkpoint", **options)
    assert_refused(tmp_path / "checkpoint", f"its digest of {name} is .*, here it is", **(options | changed))
    begin(tmp_path / "checkpoint", epochs=4, **options)


def test_checkpoint_does_not_depend_on_where_its_rows_are_kept(tmp_path):
    begin(tmp_path / "checkpoint", x=MANY, t=RARE, batch_size=500)
    np.save(tmp_path / "x.npy", MANY)
    for x in (np.load(tmp_path / "x.npy", mmap_mode="r"), np.asfortranarray(MANY)):
        assert is_resumed(tmp_path / "checkpoint", x=x, t=RARE, batch_size=500, epochs=3)


def test_checkpoint_without_digests_of_its_rows_is_compared_by_some_of_them(tmp_path):
    """As the first files are."""
    path = tmp_path / "checkpoint"
    begin(path)
    metadata, tensors = decode(path.read_bytes())
    for name in ("digest of data", "digest of validation"):
        metadata["checkpoint"]["settings"].pop(name)
    write_forged(path, metadata, tensors)
    assert_refused(path, r"its data is '21 rows of .*', here it is '21 rows of", x=X + 1e-9)
    assert is_resumed(path)


def scaled(x, rng, scale=0.1, *, shift=0.0):
    return x * scale + shift


class Scaled:
    """An object that can be called, and one with a method."""

    def __init__(self, scale, rng=None):
        self.scale, self.rng = scale, rng

    def __call__(self, x, rng):
        return x * self.scale

    def method(self, x, rng):
        return x * self.scale


def with_default(scale):
    return lambda x, rng, scale=scale: x * scale


def with_keyword_default(scale):
    return lambda x, rng, *, scale=scale: x * scale


def with_table(last):
    table = np.linspace(0, last, 2000)
    return lambda x, rng: x * table[-1]


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (partial(scaled, scale=0.1), partial(scaled, scale=0.5), r"scaled with scale=0.1, shift=0.0 with scale=0.1"),
        (partial(Scaled.method, Scaled(0.1)), partial(Scaled.method, Scaled(0.5)), r"Scaled.method with .*0.1"),
        (Scaled(0.1), Scaled(0.5), r"Scaled with scale=0.1, rng=None"),
        (Scaled(0.1).method, Scaled(0.5).method, r"Scaled.method with .*Scaled with scale=0.1"),
        (with_default(0.1), with_default(0.5), r"with_default.<locals>.<lambda> with scale=0.1"),
        (with_keyword_default(0.1), with_keyword_default(0.5), r"<lambda> with scale=0.1"),
        (with_table(1.0), with_table(2.0), r"<lambda> with array of \(2000,\) float64, [0-9a-f]+"),
    ],
)
def test_checkpoint_of_another_function_is_refused_by_what_it_brings_along(tmp_path, one, other, words):
    begin(tmp_path / "checkpoint", augment=one)
    assert_refused(tmp_path / "checkpoint", f"its augment is .*{words}.*, here it is", augment=other)
    assert is_resumed(tmp_path / "checkpoint", augment=copy.deepcopy(one))


AUGMENT = """
def half(x):
    return x * 0.5

def augment(x, rng):
    return half(x) + (0.0 if "a" in {"a", "b"} else 1.0)
"""


def augment_of(source):
    namespace = {"__name__": "users"}
    exec(source, namespace)
    return namespace["augment"]


@pytest.mark.parametrize(
    "then, now", [("{", "{'c', "), ("* 0.5", "* 0.25"), ("+ (", "- ("), ("half(x):", "half(x, y=1):\n    x = x + y")]
)
def test_checkpoint_of_a_function_with_another_body_assert_refused(tmp_path, then, now):
    begin(tmp_path / "checkpoint", augment=augment_of(AUGMENT))
    words = r"its code of augment \(Python 3\.\d+\) is [0-9a-f]+, here it is"
    assert_refused(tmp_path / "checkpoint", words, augment=augment_of(AUGMENT.replace(then, now)))


def test_checkpoint_of_a_schedule_with_another_body_assert_refused(tmp_path):
    begin(tmp_path / "checkpoint", optimizer=SGD(lambda step: 0.1))
    assert_refused(tmp_path / "checkpoint", "its code of optimizer", optimizer=SGD(lambda step: 0.2))


def test_lines_around_a_function_and_its_docstring_are_no_difference(tmp_path):
    begin(tmp_path / "checkpoint", augment=augment_of(AUGMENT))
    edited = AUGMENT.replace("rng):\n", 'rng):\n    "Halve them."\n\n')
    assert is_resumed(tmp_path / "checkpoint", augment=augment_of("\n" + edited))


def test_a_function_may_name_what_has_no_value_yet(tmp_path):
    def augment(x, rng):
        return later(x) if x is None else x

    begin(tmp_path / "checkpoint", augment=augment)
    assert is_resumed(tmp_path / "checkpoint", augment=augment)
    later = None


def test_code_of_another_version_of_python_is_not_compared(tmp_path, monkeypatch):
    with monkeypatch.context() as of_then:
        of_then.setattr(settings, "PYTHON", " (Python 3.99)")
        begin(tmp_path / "checkpoint", augment=augment_of(AUGMENT))
    assert is_resumed(tmp_path / "checkpoint", augment=augment_of(AUGMENT.replace("0.5", "0.25")))


def test_settings_in_words_are_the_same_in_every_process():
    for make in (lambda: Scaled(0.1, np.random.default_rng(0)), lambda: Scaled(0.1, object())):
        assert in_words(make()) == in_words(make()) and " at 0x" not in in_words(make())
    ring = Scaled(0.1)
    ring.rng = ring
    assert in_words(ring).endswith("Scaled with scale=0.1, rng=…")
    assert in_words(halved) == f"{__name__}.halved" and in_words(len) == "builtins.len"


def test_checkpoint_with_other_classes_assert_refused(tmp_path):
    begin(tmp_path / "checkpoint")
    other = np.where(LABELS == "yes", "z", "a")
    assert_refused(tmp_path / "checkpoint", r"its classes.dtype is <U3, here it is <U1", t=other)


def test_checkpoint_path_is_checked_before_training(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        begin(tmp_path / "nowhere" / "checkpoint")
    with pytest.raises(IsADirectoryError):
        begin(tmp_path)
    small().save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="model holds a model, but no training to go on with"):
        begin(tmp_path / "model")
    (tmp_path / "text").write_text("precious")
    with pytest.raises(ModelFileError, match="text is not a model file"):
        begin(tmp_path / "text")
    assert (tmp_path / "text").read_text() == "precious"
    unsaveable = Sequential([Dense(3, 1, init=lambda rng, shape: np.ones(shape)), Sigmoid()])
    with pytest.raises(ValueError, match="Dense can't be saved"):
        begin(tmp_path / "checkpoint", model=unsaveable)
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("checkpoint.optimizer.m", np.zeros(2, np.float32), "holds a state of Adam.*that can't be used"),
        ("checkpoint.optimizer.w", np.zeros(2, np.float32), "holds a state of Adam.*that can't be used"),
        ("checkpoint.latest.0.weight", np.zeros(2, np.float32), r"holds 0.weight of shape \(2,\)"),
        ("checkpoint.history.loss", np.zeros(0), "the lists of its history do not fit"),
        ("checkpoint.history.loss", np.zeros((2, 2)), "the lists of its history do not fit"),
        ("checkpoint.history.validation_loss", np.zeros(0), "its best epoch is none of its epochs"),
        ("checkpoint.history.x", np.zeros(2), "its history has no list of x"),
        ("checkpoint.history.best_epoch", np.zeros(2), "its history has no list of best_epoch"),
        ("checkpoint.history.seconds", None, "its history lacks the list of seconds"),
    ],
)
def test_forged_checkpoint_assert_refused(tmp_path, name, value, message):
    path = tmp_path / "checkpoint"
    begin(path)
    metadata, tensors = decode(path.read_bytes())
    tensors[name] = value
    write_forged(path, metadata, {name: tensor for name, tensor in tensors.items() if tensor is not None})
    model, optimizer = noisy(), Adam(0.01)
    theta = model.theta.copy()
    with pytest.raises(ModelFileError, match=message):
        begin(path, model=model, optimizer=optimizer, epochs=4)
    assert np.array_equal(model.theta, theta)
    assert optimizer.state() == {"steps": 0, "epochs": 0}


@pytest.mark.parametrize(("seconds", "writes"), [(0, 5), (math.inf, 2)])
def test_checkpoint_is_written_after_the_first_and_the_last_epoch(tmp_path, monkeypatch, seconds, writes):
    lengths = []

    def counting(self, history, best, write=Checkpoint.write):
        lengths.append(len(history["loss"]))
        write(self, history, best)

    monkeypatch.setattr(Checkpoint, "write", counting)
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", seconds)
    begin(tmp_path / "checkpoint", epochs=5, patience=50)
    assert len(lengths) == writes
    assert (lengths[0], lengths[-1]) == (1, 5)


def test_a_history_has_the_lists_that_a_checkpoint_holds():
    lists = {field.name for field in fields(History)} - {"metrics", "best_epoch"}
    assert lists == set(checkpoint.LISTS)


def test_diverging_training_keeps_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0)
    model = Sequential([Dense(3, 1)], seed=0)
    with pytest.raises(DivergenceError) as caught:
        model.fit(
            X, X[:, 0], loss=MeanSquaredError(), optimizer=SGD(50.0), epochs=99, checkpoint=tmp_path / "checkpoint"
        )
    assert len(caught.value.history) > 0
    assert load(tmp_path / "checkpoint").theta.tobytes() == model.theta.tobytes()
