"""Recorded programs: the plain path, bit for bit; what can't be recorded runs as it is; nothing stale ever runs."""

import copy
import functools
import gc
import itertools
import random
import re
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import minigrad
from minigrad import (
    ELU,
    GELU,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    ClipByNorm,
    ClipByValue,
    Dense,
    DivergenceError,
    Huber,
    Identity,
    Layer,
    LeakyReLU,
    MeanAbsoluteError,
    MeanSquaredError,
    ParameterAverage,
    ReLU,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Swish,
    Tanh,
    parameter,
    schedules,
    state,
)
from minigrad.layer import whole_copy
from minigrad.model import Model
from minigrad.parameter import states_of
from minigrad.programs.runtime import cache
from minigrad.testing.bench.first_input import find_input
from minigrad.testing.bench.subject import Subject
from minigrad.testing.strategies import layer_classes, layers_of

OPTIMIZERS = [
    lambda: SGD(0.3),
    lambda: SGD(0.1, momentum=0.9),
    lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda: SGD(lambda step: 0.5 / (1 + step)),
    lambda: Adam(0.01),
    lambda: Adam(0.01, weight_decay=0.1),
    lambda: AdamW(0.01),
    lambda: RMSprop(0.01),
    lambda: RMSprop(0.01, momentum=0.5),
    lambda: Adagrad(0.1),
    lambda: SGD(schedules.warmup(3, schedules.cosine(0.5, 9, 0.1))),
    lambda: ClipByNorm(SGD(0.3), 0.1),
    lambda: ClipByNorm(AdamW(0.01), 100.0),
    lambda: ClipByValue(ClipByNorm(SGD(0.1, momentum=0.9), 0.3), 0.05),
    lambda: ParameterAverage(SGD(0.3), 0.9),
    lambda: ParameterAverage(ClipByValue(Adam(schedules.step(0.1, 3)), 0.1), 0.9),
]
LOSSES = [BinaryCrossEntropy, CategoricalCrossEntropy, MeanSquaredError, MeanAbsoluteError, Huber]
LAST = {BinaryCrossEntropy: [Sigmoid, Softmax], CategoricalCrossEntropy: [Softmax, Sigmoid]}
ACTIVATIONS = [Sigmoid, Tanh, ReLU, Softmax, Swish, LeakyReLU, ELU, GELU, lambda: GELU("tanh"), Softplus, Identity]


SEEN = []  # no layer holds it, so that what is put into it is no state of one


def train(model, optimizer, epochs, monkeypatch_steps, x, t, **options):
    """Train with programs recorded after so many steps; returns all that training leaves behind."""
    before, Model.steps_by_hand = Model.steps_by_hand, monkeypatch_steps
    try:
        history = model.fit(x, t, optimizer=optimizer, epochs=epochs, **options)
    finally:
        Model.steps_by_hand = before
    return [model.theta, model.dtheta, np.array(history.loss), *optimizer.state().values()]


def attempted(model, *arguments, **options):
    """What training leaves behind, and what it said when it left the finite numbers."""
    try:
        return train(model, *arguments, **options), None
    except DivergenceError as error:
        return [model.theta, np.array(error.history.loss)], str(error)


def assert_same_bits(one, other):
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b, equal_nan=True)


def noisy(x, rng):
    x += rng.normal(size=x.shape)
    return x


def flipped(x, rng):
    return x[:, ::-1]


@st.composite
def trainings(draw):
    """(model, optimizer maker, x, t, options of fit)"""
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    layers = []
    for i, o in itertools.pairwise(widths):
        layers += [Dense(i, o, bias=draw(st.booleans())), draw(st.sampled_from(ACTIVATIONS))()]
    loss = draw(st.sampled_from(LOSSES))
    if loss in LAST:
        layers[-1] = draw(st.sampled_from(LAST[loss]))()
    if draw(st.booleans()):
        layers = [Sequential(layers[:2]), *layers[2:]]
    model = Sequential(layers, dtype=draw(st.sampled_from([np.float32, np.float64])), seed=draw(st.integers(0, 99)))
    m = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.normal(size=(m, widths[0])).astype(draw(st.sampled_from([np.float32, np.float64])))
    t = rng.random((m, widths[-1]))
    options = {
        "loss": loss(),
        "batch_size": draw(st.integers(1, 5)),
        "l2": draw(st.sampled_from([0.0, 0.1])),
        "l1": draw(st.sampled_from([0.0, 0.0, 0.1])),
        "augment": draw(st.sampled_from([None, None, noisy, flipped])),
        "sample_weight": draw(st.sampled_from([None, rng.random(m) + 0.1])),
    }
    return model, draw(st.sampled_from(OPTIMIZERS)), x, t, options


@given(trainings())
def test_a_program_is_the_plain_path_bit_for_bit(training):
    model, optimizer, x, t, options = training
    other = copy.deepcopy(model)
    recorded, told = attempted(model, optimizer(), 4, 0, x, t, **options)
    plain, expected = attempted(other, optimizer(), 4, 10**9, x, t, **options)
    assert told == expected
    assert_same_bits(recorded, plain)
    kept = cache.programs_of(model).made
    assert kept and all(kept), "every step ran by a program"


@given(trainings())
def test_inference_by_a_program_is_the_plain_one_bit_for_bit(training):
    model, _, x, _, _ = training
    plain = model.predict(x)
    before, Model.steps_by_hand = Model.steps_by_hand, 0
    try:
        replays = [model.predict(x) for _ in range(3)]
        assert all(isinstance(kept, cache.Forward) for kept in cache.programs_of(model).made)
        model.theta *= 0.5  # the arrays are the same, so the program goes on
        halved = model.predict(x)
    finally:
        Model.steps_by_hand = before
    assert_same_bits(replays, [plain] * 3)
    assert not any(np.shares_memory(a, b) for a, b in itertools.pairwise(replays))
    assert np.array_equal(halved, copy.deepcopy(model).predict(x), equal_nan=True)


def test_inference_notices_a_changed_layer(monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 0)
    model, x = Sequential([Dense(3, 4), LeakyReLU(0.1)], seed=0), np.random.default_rng(0).normal(size=(5, 3))
    model.predict(x)
    model[1].slope = 0.7
    assert np.array_equal(model.predict(x), whole_copy(model).predict(x))


def test_inference_in_blocks_is_inference_row_by_row():
    model = Sequential([Dense(3, 4), Sigmoid()], seed=0)
    x = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    y = model.predict(x)
    assert np.allclose(y, np.concatenate([model.predict(row[None]) for row in x]), rtol=1e-6, atol=0)


def test_most_layers_are_recorded_whole(caplog):
    model = Sequential([Dense(4, 3), Sigmoid(), Dense(3, 2), Sigmoid()])
    recorded = model.program(BinaryCrossEntropy(), SGD(0.1), batch_size=3)
    assert recorded.opaque == {}
    text = str(recorded)
    for line in (
        "dot(x, W1, ",
        "dW2 = a1T @ dz2",
        "db1 = dz1.sum(axis=0)",
        "theta = theta - ",
    ):
        assert line in text
    assert "dx" not in text, "nobody reads the gradient of the first layer's input"
    assert len(recorded.lines) == len(re.findall(r"# \w+ = ", text))


def test_looking_at_a_program_changes_nothing():
    model, optimizer = Sequential([Dense(4, 3), Tanh()], seed=0), Adam()
    before = copy.deepcopy((model.theta, model.dtheta, optimizer.state()))
    model.program(MeanSquaredError(), optimizer)
    assert np.array_equal(model.theta, before[0]) and np.array_equal(model.dtheta, before[1])
    assert optimizer.state() == before[2]


def test_a_program_needs_to_know_the_shape_of_a_row():
    with pytest.raises(ValueError, match="input_shape"):
        Sequential([Tanh()]).program(MeanSquaredError(), SGD(0.1))


def test_a_program_needs_a_loss_and_an_optimizer():
    model = Sequential([Dense(2, 1)])
    with pytest.raises(TypeError, match="loss='mse' is no loss; write loss="):
        model.program("mse", SGD(0.1))
    with pytest.raises(TypeError, match="optimizer=SGD is a class"):
        model.program(MeanSquaredError(), SGD)


def test_dead_memory_is_used_again():
    model = Sequential([Dense(50, 40), Sigmoid(), Dense(40, 40), Sigmoid(), Dense(40, 1), Sigmoid()])
    recorded = model.program(BinaryCrossEntropy(), SGD(0.1), batch_size=64)
    one_array = 64 * 40 * 4
    assert recorded.buffers < 8 * one_array + 2 * model.theta.nbytes


class Scale(Layer):
    """y = g x, as a user writes it."""

    traceable = True
    g, dg = parameter()

    def __init__(self, features):
        self.features = features
        self.g = np.ones(features)

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


class Deciding(Scale):
    """Its formula depends on a value: Python asks for it."""

    traceable = True

    def forward(self, x):
        self.x = x
        if x.max() > 1:
            return x * self.g
        return x * self.g + 0


class Selecting(Scale):
    """Writes through a mask into an array of its own."""

    traceable = True

    def forward(self, x):
        self.x = np.array(x)
        self.x[self.x < 0] = 0
        return self.x * self.g


class Counting(Scale):
    """Keeps a count that it did not declare, and uses it."""

    def __init__(self, features):
        super().__init__(features)
        self.count = 0

    def forward(self, x):
        self.count += 1
        self.x = x
        return x * self.g * (1 + (self.count > 5))


class Noisy(Scale):
    """Draws from a generator that it did not declare."""

    def __init__(self, features):
        super().__init__(features)
        self.rng = np.random.default_rng(3)

    def forward(self, x):
        self.x = x * (self.rng.random(x.shape) < 0.7)
        return self.x * self.g


class Declared(Scale):
    """Draws from a generator that it declared, and keeps a running mean that it declared."""

    traceable = True
    rng = state()
    mean = state()

    def __init__(self, features):
        super().__init__(features)
        self.rng = np.random.default_rng(3)
        self.mean = np.zeros(features)

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        self.mask = self.rng.random(x.shape) < 0.7
        self.x = (x - self.mean) * self.mask
        return self.x * self.g

    def backward(self, dy):
        super().backward(dy)
        return dy * self.g * self.mask


@pytest.mark.parametrize("layer", [Scale, Deciding, Selecting, Counting, Noisy, Declared])
def test_layers_of_ones_own_train_alike(layer, caplog):
    def make():
        return Sequential([Dense(3, 4), layer(4), Tanh(), Dense(4, 2)], seed=1)

    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    options = {"loss": MeanSquaredError(), "batch_size": 4}
    one, other = make(), make()
    recorded = train(one, Adam(), 6, 2, x, t, **options)
    told = [record.message for record in caplog.records]
    plain = train(other, Adam(), 6, 10**9, x, t, **options)
    assert_same_bits(recorded, plain)
    for a, b in zip(states_of(one[1]).values(), states_of(other[1]).values(), strict=True):
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a.bit_generator.state == b.bit_generator.state
    if layer not in (Deciding, Selecting):
        assert told == [], "what does not say that it is traceable runs as it is, and that is no news"
    else:
        assert len(told) == 1 and layer.__name__ in told[0], "said once, naming the layer"


def test_global_randomness_is_drawn_as_often_as_on_the_plain_path(caplog):
    class Global(Scale):
        def forward(self, x):
            self.x = x * (np.random.random(x.shape) < 0.7)  # noqa: NPY002
            return self.x * self.g

    results = []
    for steps in (1, 10**9):
        np.random.seed(5)  # noqa: NPY002
        model = Sequential([Dense(3, 3), Global(3)], seed=0)
        results.append(train(model, SGD(0.1), 5, steps, np.ones((6, 3)), np.ones((6, 3)), loss=Huber(), batch_size=2))
    assert_same_bits(*results)


def test_an_optimizer_with_a_step_of_its_own_runs_on_the_plain_path():
    class Sign(SGD):
        def step(self, theta, dtheta):
            theta -= 0.01 * np.sign(dtheta)
            self.steps += 1

    model = Sequential([Dense(2, 1)], seed=0)
    train(model, Sign(), 3, 0, np.ones((4, 2)), np.ones((4, 1)), loss=MeanSquaredError())
    assert cache.programs_of(model).made == []


def test_a_changed_layer_never_runs_a_stale_program():
    x, t = np.random.default_rng(0).normal(size=(8, 3)), np.zeros((8, 2))

    def run(steps):
        model, optimizer = Sequential([Dense(3, 4), LeakyReLU(0.1), Dense(4, 2)], seed=0), SGD(0.1)
        out = train(model, optimizer, 3, steps, x, t, loss=MeanSquaredError(), batch_size=4)
        model[1].slope = 0.5
        optimizer.learning_rate = 0.01
        return out + train(model, optimizer, 3, steps, x, t, loss=MeanSquaredError(), batch_size=4)

    assert_same_bits(run(0), run(10**9))


def test_a_copied_model_records_for_itself():
    x, t = np.ones((4, 3)), np.zeros((4, 2))
    model = Sequential([Dense(3, 2)], seed=0)
    train(model, SGD(0.1), 2, 0, x, t, loss=MeanSquaredError())
    twin = copy.deepcopy(model)
    assert "_programs" not in vars(twin)
    before = model.theta.copy()
    train(twin, SGD(0.1), 2, 0, x, t, loss=MeanSquaredError())
    assert np.array_equal(model.theta, before) and not np.array_equal(twin.theta, before)


def test_a_pending_backward_survives_the_recording():
    model = Sequential([Dense(3, 2), Tanh()], seed=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(5, 3))
    model.forward(x)
    expected = model.backward(np.ones((5, 2))).copy()
    model.program(MeanSquaredError(), SGD(0.1))
    assert np.array_equal(model.backward(np.ones((5, 2))), expected)


def test_a_program_that_differs_is_not_used(monkeypatch):
    model = Sequential([Dense(3, 2), Tanh()], seed=0)
    monkeypatch.setattr("minigrad.programs.tracing.steps.Step.plain", lambda step: 0.0)
    with pytest.warns(RuntimeWarning, match="Dense"):
        out = train(model, SGD(0.1), 2, 0, np.ones((4, 3)), np.zeros((4, 2)), loss=MeanSquaredError())
    monkeypatch.undo()
    other = Sequential([Dense(3, 2), Tanh()], seed=0)
    assert_same_bits(out, train(other, SGD(0.1), 2, 10**9, np.ones((4, 3)), np.zeros((4, 2)), loss=MeanSquaredError()))


POOL = minigrad.AvgPool2D((2, 1), ceil_mode=True)  # the last window is smaller: a constant array of their sizes


@pytest.mark.parametrize(
    ("layers", "wrap"),
    [
        ([Dense(5, 4), Sigmoid(), Dense(4, 3)], lambda o: o),
        ([Dense(5, 4), Sigmoid(), Dense(4, 3)], lambda o: ClipByNorm(o, 0.2)),
        ([minigrad.Reshape((5, 1, 1)), POOL, minigrad.Flatten(), Dense(3, 3)], lambda o: ClipByValue(o, 0.01)),
    ],
)
def test_a_saved_program_runs_with_numpy_alone(tmp_path, layers, wrap):
    model = Sequential([*copy.deepcopy(layers), Sigmoid()], input_shape=(5,), seed=0)
    optimizer = wrap(SGD(0.5, momentum=0.9))
    rng = np.random.default_rng(0)
    x, t = rng.random((6, 5)).astype(np.float32), (rng.random((6, 3)) < 0.5).astype(np.float32)
    model.program(BinaryCrossEntropy(), optimizer, batch_size=6, l2=0.1).save(tmp_path / "step.py")
    np.savez(tmp_path / "batch.npz", x=x, t=t)
    script = (
        "import sys; sys.modules['minigrad'] = None\n"
        "import numpy as np, step\n"
        "batch = np.load('batch.npz'); step.x[...] = batch['x']; step.t[...] = batch['t']\n"
        "losses = [step.step() for _ in range(3)]\n"
        "np.savez('after.npz', theta=step.theta, losses=losses)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, env={"PYTHONPATH": str(tmp_path)})
    objective = minigrad.Objective(model, BinaryCrossEntropy(), 0.1)
    losses = []
    for _ in range(3):
        losses.append(objective.gradient(x, t))
        optimizer.step(model.theta, model.dtheta)
    after = np.load(tmp_path / "after.npz")
    assert np.array_equal(after["theta"], model.theta) and np.array_equal(after["losses"], losses)


def test_code_of_ones_own_cannot_be_saved(tmp_path, caplog):
    model = Sequential([Dense(3, 2), Deciding(2)])
    recorded = model.program(MeanSquaredError(), SGD(0.1))
    assert list(recorded.opaque) == [repr(model[1])]
    with pytest.raises(ValueError, match="Deciding"):
        recorded.save(tmp_path / "step.py")
    assert list(Path(tmp_path).iterdir()) == []


def test_a_single_number_is_divided_by_a_scalar():
    """One row, one output, one sum of weights: the scalar is not taken for an array of shape (1, 1)."""
    model = Sequential([Dense(1, 1, bias=False), Sigmoid()], seed=0)
    other, x, t = copy.deepcopy(model), np.ones((3, 1)), np.array([[0.2], [0.7], [0.4]])
    options = {"loss": BinaryCrossEntropy(), "batch_size": 1, "sample_weight": np.array([0.5, 1, 2])}
    assert_same_bits(train(model, SGD(0.3), 2, 0, x, t, **options), train(other, SGD(0.3), 2, 10**9, x, t, **options))
    assert all(cache.programs_of(model).made)


@pytest.mark.parametrize("cls", layer_classes(), ids=lambda cls: cls.__name__)
@settings(max_examples=settings.default.max_examples // 8)
@given(st.data())
def test_every_layer_of_the_package_is_recorded_whole(cls, data):
    layer = data.draw(layers_of(cls))
    assume(getattr(layer, "vocabulary", 2) > 1)  # a program is recorded on zeros and ones
    row = find_input(Subject(layer), np.random.default_rng(0)).shape[1:]
    model = Sequential([copy.deepcopy(layer)], input_shape=row)
    assert model.program(MeanSquaredError(), SGD(0.1), batch_size=4).opaque == {}


def body(statements, **attributes):
    """A class of Scale that runs these statements on x before its own formula, with attributes that start so."""

    class Hostile(Scale):
        def __init__(self, features):
            super().__init__(features)
            for name, value in attributes.items():
                setattr(self, name, copy.deepcopy(value))

        def forward(self, x):
            names = {"self": self, "x": x, "np": np, "random": random}
            exec(statements, names)
            return super().forward(names["x"])

    return Hostile


def trained_alike(layer, between=None):
    """Whether a model with such a layer trains by programs as without, `between(model)` done halfway."""
    x, t = np.random.default_rng(0).normal(size=(20, 3)), np.random.default_rng(1).normal(size=(20, 2))
    outcomes = []
    for steps in (0, 10**9):
        random.seed(1)
        model, optimizer = Sequential([Dense(3, 4), layer(4), Tanh(), Dense(4, 2)], seed=1), Adam()
        out = [np.copy(a) for a in train(model, optimizer, 5, steps, x, t, loss=MeanSquaredError(), batch_size=4)]
        if between is not None:
            between(model)
            out += train(model, optimizer, 5, steps, x, t, loss=MeanSquaredError(), batch_size=4)
        outcomes.append(out)
    assert_same_bits(*outcomes)


@pytest.mark.parametrize(
    "statements",
    [
        "x = x + x[x[:, 0] > 0, 0].sum()",
        "x = x + x.ravel()[np.flatnonzero(x > 0)].sum()",
        "x = x + x.compress(x[:, 0] > 0, axis=0).sum()",
        "x = x + np.extract(x > 0, x).sum()",
        "x = x + np.unique(np.floor(x)).sum()",
        "x = x + np.repeat(x[:, 0], (x[:, 0] > 0).astype(int)).sum()",
        "x = x + x[:, 0].repeat(repeats=(x[:, 0] > 0).astype(int)).sum()",
    ],
)
def test_what_is_shaped_by_values_is_not_recorded(statements):
    trained_alike(body(statements))


@pytest.mark.parametrize(
    "statements",
    [
        "x = x * 1; x.clip(-1.5, 1.5, out=x)",
        "x = x * 1; x.clip(-1.5, 1.5, x)",
        "x = x * 1; np.clip(x, -1.5, 1.5, x)",
    ],
)
def test_what_writes_into_its_argument_is_not_taken_for_a_view(statements):
    trained_alike(body(statements))


def test_a_rate_of_ones_own_changes_from_step_to_step():
    class Slowing(SGD):
        def rate(self, step):
            return self.learning_rate / (1 + step)

    x, t = np.ones((8, 3)), np.zeros((8, 2))
    runs = [
        train(Sequential([Dense(3, 2)], seed=0), Slowing(0.1), 3, s, x, t, loss=Huber(), batch_size=2)
        for s in (0, 10**9)
    ]
    assert_same_bits(*runs)


def test_a_step_that_was_replaced_in_the_optimizer_itself_is_made():
    x, t, counts = np.ones((8, 3)), np.zeros((8, 2)), []
    for steps in (0, 10**9):
        optimizer, made = SGD(0.1), []
        optimizer.step = lambda theta, dtheta, optimizer=optimizer, made=made: (
            made.append(1),
            SGD.step(optimizer, theta, dtheta),
        )
        train(Sequential([Dense(3, 2)], seed=0), optimizer, 3, steps, x, t, loss=Huber(), batch_size=2)
        counts.append(len(made))
    assert counts == [12, 12]


@pytest.mark.parametrize("steps", [0, 10**9])
def test_an_optimizer_may_get_or_lose_memory_between_epochs(steps, monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", steps)
    model, optimizer, fresh = Sequential([Dense(3, 2)], seed=0), SGD(0.1), Adam().state()
    training = model.epochs(np.ones((8, 3)), np.zeros((8, 2)), loss=Huber(), optimizer=optimizer)
    next(training)
    optimizer.momentum = 0.5
    next(training)
    assert optimizer.velocity.any()
    adam = Adam()
    training = model.epochs(np.ones((8, 3)), np.zeros((8, 2)), loss=Huber(), optimizer=adam)
    next(training)
    adam.load_state(fresh)
    next(training)
    assert (adam.steps, adam.m.any()) == (1, True)


@pytest.mark.parametrize(
    ("statements", "start"),
    [
        ("self.n[0] += 1; x = x * (1 + (self.n[0] > 15))", [0]),
        ("self.n.append(1); x = x * (1 + (len(self.n) > 15))", []),
        ("self.n['a'].append(1); x = x * (1 + (len(self.n['a']) > 15))", {"a": []}),
        ("self.n = self.n + np.int64(1); x = x * (1 + int(self.n > 15))", np.int64(0)),
        ("self.n += 1; x = x * (1 + int(self.n[0] > 15))", np.zeros(1)),
        ("self.n[0] += 1; x = x * (1 + int(self.n[0][0] > 15))", [np.zeros(1)]),
        ("self.n = (self.n[0] + 1,); x = x * (1 + (self.n[0] > 15))", (0,)),
        ("x = x * self.n[0].random()", [np.random.default_rng(1)]),
        ("x = x * self.n.rand()", np.random.RandomState(1)),
        ("x = x * self.n.random()", random.Random(1)),
        ("self.n.args[0].append(1); x = x * (1 + (self.n() > 15))", functools.partial(len, [])),
        ("x = x * random.random()", None),
    ],
)
def test_what_a_layer_counts_or_draws_undeclared_is_noticed_and_put_back(statements, start):
    trained_alike(body(statements, n=start))


@pytest.mark.parametrize(
    ("statements", "before", "after"),
    [
        ("x = x * self.s", np.float32(0.5), np.float32(2)),
        ("x = x ** int(self.s)", np.int64(1), np.int64(2)),
        ("x = x * self.s[0]", (1,), (2,)),
        ("x = x * self.s[0]", [1], [2]),
        ("x = x * self.s['a']", {"a": 1}, {"a": 2}),
        ("x = x if self.s is None else x * 2", None, (1,)),
        ("x = self.s(x)", np.tanh, np.sin),
        ("x = x * self.s", np.ones(4, np.float32), np.full(4, 2, np.float32)),
        ("x = x * float(self.s[0])", np.ones(1), np.full(1, 2.0)),
        ("x = x * self.s", 0.5, np.float64(0.5)),
    ],
)
def test_an_attribute_of_any_kind_that_changes_ends_a_program(statements, before, after):
    trained_alike(body(statements, s=before), lambda model: setattr(model[1], "s", after))


@pytest.mark.parametrize("start", [np.ones(1), [1.0]])
def test_a_number_that_is_changed_within_its_array_or_list_ends_a_program(start):
    trained_alike(body("x = x * float(self.s[0])", s=start), lambda model: model[1].s.__setitem__(0, 3.0))


@pytest.mark.parametrize(
    "statements",
    [
        "self.seen = x",
        "type(self).seen = x.mean(); x = x * type(self).seen",
        "x = x * 2 if type(x) is np.ndarray else x",
        "try: s = float(x[0, 0])\nexcept TypeError: s = 1.0\nx = x * s",
    ],
    ids=["kept for the user", "kept in the class", "decided by type", "the recorder's error caught"],
)
def test_what_recording_arrays_would_change_is_noticed(statements):
    layer = body(statements)
    trained_alike(layer)
    seen = []
    for steps in (0, 10**9):
        model = Sequential([Dense(3, 4), layer(4), Dense(4, 2)], seed=0)
        train(model, SGD(0.1), 3, steps, np.eye(3), np.zeros((3, 2)), loss=MeanSquaredError(), batch_size=3)
        seen.append(getattr(model[1], "seen", 0))
    np.testing.assert_array_equal(*seen)


@pytest.mark.parametrize("statements", ["pass", "self.n += 1"], ids=["recorded", "as it is"])
@pytest.mark.parametrize("verb", ["forward", "backward"])
def test_a_method_that_is_replaced_ends_a_program(statements, verb):
    def halve(model):
        plain = getattr(model[1], verb)
        setattr(model[1], verb, lambda array: plain(array) / 2)

    trained_alike(body(statements, n=0), halve)


@pytest.mark.parametrize("verb", ["forward", "backward", "predict"])
def test_a_method_that_is_replaced_in_an_inner_model_ends_a_program(verb):
    x, t, outcomes = np.eye(3), np.zeros((3, 2)), []
    for steps in (0, 10**9):
        model = Sequential([Dense(3, 4), Sequential([Dense(4, 4), Tanh()]), Dense(4, 2)], seed=0)
        options = {"loss": MeanSquaredError(), "batch_size": 3}
        out = [np.copy(a) for a in train(model, SGD(0.1), 3, steps, x, t, **options)]
        out += [model.predict(x) for _ in range(3)]
        plain = getattr(model[1], verb)
        setattr(model[1], verb, lambda array, plain=plain: plain(array) / 2)
        outcomes.append([*out, *train(model, SGD(0.1), 3, steps, x, t, **options), model.predict(x)])
    assert_same_bits(*outcomes)


def test_what_is_wrong_with_x_is_told_by_the_layer_and_not_by_its_program(monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 0)
    model = Sequential([minigrad.Embedding(3, 2), minigrad.Flatten(), Dense(4, 1)], seed=0)
    for _ in range(3):
        model.predict(np.zeros((1, 2), int))
    with pytest.raises(IndexError, match="has no vector 3; it has 0 to 2"):
        model.predict(np.full((1, 2), 3))


def test_memory_of_a_program_is_given_back_with_it():
    gc.disable()
    try:
        gone = weakref.ref(Sequential([Dense(3, 2)], seed=0).program(MeanSquaredError(), SGD(0.1)).code.function)
        assert gone() is None
    finally:
        gc.enable()


def test_what_runs_as_it_is_is_recorded_once(monkeypatch):
    made, compiled = [], cache.Programs._compiled
    monkeypatch.setattr(cache.Programs, "_compiled", lambda self, how: made.append(1) or compiled(self, how))
    model = Sequential([Dense(3, 4), body("self.n += 1", n=0)(4), Sequential([Dense(4, 2)])], seed=0)
    train(model, SGD(0.1), 5, 0, np.eye(6, 3), np.zeros((6, 2)), loss=MeanSquaredError(), batch_size=3)
    assert made == [1] and model[1].n == 10


def test_that_a_class_is_traceable_is_not_inherited():
    class Fresh(Tanh):
        pass

    class Declared(Fresh):
        traceable = True

    for cls, opaque in ((Fresh, ["Fresh()"]), (Declared, [])):
        model = Sequential([Dense(3, 4), cls(), Dense(4, 2)], input_shape=(3,), seed=0)
        assert list(model.program(MeanSquaredError(), SGD(0.1)).opaque) == opaque


def test_a_container_in_a_container_is_recorded_whole():
    inner = Sequential([Dense(3, 3), Tanh()])
    model = Sequential([minigrad.Residual(inner), Dense(3, 2)], seed=0)
    assert model.program(MeanSquaredError(), SGD(0.1)).opaque == {}


def test_a_loss_that_was_defined_anew_under_its_name_is_another():
    def squares(factor):
        class Own(minigrad.Loss):
            def terms(self, p, t):
                return factor * (p - t) ** 2

            def slopes(self, p, t):
                return 2 * factor * (p - t)

        return Own()

    x, t, outcomes = np.ones((8, 3)), np.zeros((8, 2)), []
    for steps in (0, 10**9):
        model, optimizer = Sequential([Dense(3, 2)], seed=0), SGD(0.1)
        train(model, optimizer, 2, steps, x, t, loss=squares(1), batch_size=4)
        outcomes.append(train(model, optimizer, 2, steps, x, t, loss=squares(3), batch_size=4))
    assert_same_bits(*outcomes)


def test_a_setting_of_a_loss_or_an_optimizer_that_is_no_argument_of_it_ends_a_program():
    class Own(minigrad.Loss):
        def __init__(self):
            self.factor = np.ones(2, np.float32)

        def terms(self, p, t):
            return self.factor * (p - t) ** 2

        def slopes(self, p, t):
            return 2 * self.factor * (p - t)

    class Scaled(SGD):
        factor = 1.0

        def update(self, theta, dtheta, *, eta, mu, decay):
            theta -= self.factor * eta * dtheta

    x, t, outcomes = np.ones((8, 3)), np.zeros((8, 2)), []
    for steps in (0, 10**9):
        model, optimizer, loss, out = Sequential([Dense(3, 2)], seed=0), Scaled(0.1), Own(), []
        for change in (
            lambda loss=loss: setattr(loss, "factor", loss.factor * 3),
            lambda o=optimizer: setattr(o, "factor", 0.5),
        ):
            out += map(np.copy, train(model, optimizer, 2, steps, x, t, loss=loss, batch_size=4))
            change()
        outcomes.append(out + train(model, optimizer, 2, steps, x, t, loss=loss, batch_size=4))
    assert_same_bits(*outcomes)


def test_a_prediction_can_be_recorded_while_other_threads_predict(monkeypatch):
    """The layers themselves never hold a recording array, whatever moment another thread looks at them."""
    monkeypatch.setattr(Model, "steps_by_hand", 0)
    x = np.ones((5, 3))
    SEEN.clear()

    class Looking(Tanh):
        traceable = True

        def forward(self, x):
            SEEN.append(model.layers[0].params["W"])
            return super().forward(x)

    model = Sequential([Dense(3, 4), Looking()], seed=0)
    model.predict(x)
    assert len(SEEN) > 2 and all(type(array) is np.ndarray for array in SEEN)
    assert all(isinstance(kept, cache.Forward) for kept in cache.programs_of(model).made)


@pytest.mark.parametrize("statement", ["pass", "x = x * random.random()"])
def test_what_another_thread_draws_is_not_drawn_again(statement):
    x, drawn, done = np.ones((8, 3)), [], threading.Event()

    def draw():
        while not done.is_set():
            drawn.append(random.random())

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(3):
            model = Sequential([Dense(3, 4), body(statement)(4), Dense(4, 2)], seed=0)
            train(model, SGD(0.1), 2, 0, x, np.zeros((8, 2)), loss=MeanSquaredError(), batch_size=4)
    finally:
        done.set()
        thread.join()
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(
    ("statements", "before", "after"),
    [
        ("x = x * self.s", np.float32(0.5), np.float32(2)),
        ("x = x * self.s[0]", (1,), (2,)),
        ("x = x * self.s[0]", [1], [2]),
        ("x = self.s(x)", np.tanh, np.sin),
        ("x = x * self.s", np.ones(4, np.float32), np.full(4, 2, np.float32)),
    ],
)
def test_inference_notices_an_attribute_of_any_kind(statements, before, after, monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 0)
    model, x = Sequential([Dense(3, 4), body(statements, s=before)(4)], seed=0), np.ones((5, 3))
    model.predict(x)
    model[1].s = after
    assert np.array_equal(model.predict(x), whole_copy(model).predict(x))


def test_training_leaves_the_programs_of_inference_as_they_are(monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 0)
    model, x = Sequential([Dense(3, 4), Tanh(), Dense(4, 2), Sigmoid()], seed=0), np.ones((5, 3))
    model.backward(model.forward(x))
    model.predict(x)
    (kept,) = cache.programs_of(model).made
    model.backward(model.forward(x[:2]))
    assert kept.holds()


def test_a_model_that_admits_rows_in_a_way_of_its_own_is_given_them_so():
    class Halving(Sequential):
        def admit(self, x):
            return super().admit(x) * np.float32(0.5)

    x, t = np.random.default_rng(0).normal(size=(8, 3)), np.zeros((8, 2))
    assert_same_bits(
        *(
            train(Halving([Dense(3, 2)], seed=0), SGD(0.1), 3, steps, x, t, loss=Huber(), batch_size=4)
            for steps in (0, 10**9)
        )
    )


def test_a_program_that_names_a_dtype_can_be_saved(tmp_path):
    Sequential([Dense(3, 2), GELU()]).program(MeanSquaredError(), SGD(0.1)).save(tmp_path / "step.py")
    subprocess.run([sys.executable, "-c", "import step; step.step()"], cwd=tmp_path, check=True)


@pytest.mark.parametrize(("epochs", "compiled"), [(7, False), (8, True), (None, True)])
def test_a_step_is_compiled_where_enough_are_to_come(epochs, compiled, monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 4)
    monkeypatch.setattr(cache, "REPAID", 3)
    model, data = Sequential([Dense(3, 2)], seed=0), (np.ones((4, 3)), np.ones((4, 2)))
    settings = {"loss": Huber(), "optimizer": SGD(0.1), "batch_size": 2}
    if epochs is not None:  # of which the first two are made by hand
        model.fit(*data, epochs=epochs, **settings)
    else:
        for epoch in model.epochs(*data, **settings):
            settings["optimizer"].learning_rate *= 0.9  # a rate that changes is no other program
            assert bool(cache.programs_of(model).made) is (epoch.number > 2)
            if epoch.number == 5:
                break
    assert len(cache.programs_of(model).made) == compiled


def test_a_program_serves_the_next_optimizer_of_the_same_settings(monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 0)
    x, t = np.random.default_rng(0).normal(size=(12, 3)), np.ones((12, 2))
    models = [Sequential([Dense(3, 2)], seed=0) for _ in range(2)]
    for model, steps in zip(models, (0, 10**9), strict=True):
        model.steps_by_hand = steps
        for optimizer in (Adam(0.1), Adam(0.01), SGD(0.1), Adam(0.1)):
            model.fit(x, t, loss=Huber(), optimizer=optimizer, epochs=2, batch_size=4)
    assert_same_bits([models[0].theta], [models[1].theta])
    assert len(cache.programs_of(models[0]).made) == 2
