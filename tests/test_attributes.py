"""What a copy of a layer takes along: all that is the layer's own, and no row of a batch."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from minigrad import SGD, Dense, Layer, MeanSquaredError, Residual, Sequential, Tanh, load, parameter, state
from minigrad.parameter import gradient_name, states_of, walk
from minigrad.testing.bench.first_input import find_input
from minigrad.testing.bench.subject import Subject
from minigrad.testing.strategies import layer_classes, layers_of

COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda it: pickle.loads(pickle.dumps(it))}
copies = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
X = np.random.default_rng(0).normal(size=(4, 3))


def arrays_in(value):
    """All arrays that a value leads to."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, Layer | SimpleNamespace):
        value = vars(value)
    if callable(value) and getattr(value, "__closure__", None):
        held = [cell.cell_contents for cell in value.__closure__]
        return [array for array in held if isinstance(array, np.ndarray)]
    if isinstance(value, dict):
        value = list(value.values())
    return [array for item in value for array in arrays_in(item)] if isinstance(value, list | tuple | set) else []


def holds_a_row(layer, x):
    """Whether a row of x, in either dtype, lies in an array that the layer leads to."""
    rows = [row.astype(dtype).tobytes() for row in x for dtype in (np.float32, np.float64)]
    return any(row in array.tobytes() for array in arrays_in(layer) for row in rows)


@pytest.mark.parametrize("cls", layer_classes(), ids=lambda cls: cls.__name__)
@settings(max_examples=settings.default.max_examples // 8)
@given(data=st.data())
def test_no_copy_of_a_layer_of_the_package_has_rows_in_it(cls, data):
    layer = data.draw(layers_of(cls))
    rng = np.random.default_rng(0)
    x = find_input(Subject(layer), rng)
    x = rng.normal(size=(5, *x.shape[1:])) if x.dtype.kind == "f" else np.concatenate([x] * 5)[:5]
    model = Sequential([copy.deepcopy(layer)], dtype=np.float64)
    model.backward(model.forward(x) + 1.0)
    declared = {id(a) for inner in walk([model]) for a in [*inner.params.values(), *inner.grads.values()]}
    assert declared <= {id(array) for array in arrays_in(model)}
    for copied in COPIES.values():
        for twin in (copied(model), copied(model[0])):
            for inner in walk([twin]):
                own = (
                    inner.params | {gradient_name(inner, name): a for name, a in inner.grads.items()} | states_of(inner)
                )
                kept = {
                    name for name, value in vars(inner).items() if arrays_in(value) and not isinstance(value, Layer)
                }
                kept -= {"layers", "theta", "dtheta"}
                assert kept <= own.keys()
    if x.dtype.kind == "f":
        for held in (pickle.dumps(model), pickle.dumps(model[0])):
            assert not any(row.tobytes() in held for row in x)


class Plain(Layer):
    g, dg = parameter()

    def __init__(self):
        self.g = np.ones(3)

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


class Placeholder(Plain):
    def __init__(self):
        super().__init__()
        self.x = None


class CacheDict(Plain):
    def __init__(self):
        super().__init__()
        self.cache = {}

    def forward(self, x):
        self.cache["x"] = x
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.cache["x"]).sum(axis=0)
        return dy * self.g


class CacheTuple(Plain):
    def forward(self, x):
        self.cache = x, x.shape
        return x * self.g

    def backward(self, dy):
        x, _ = self.cache
        self.dg = (dy * x).sum(axis=0)
        return dy * self.g


class Closure(Plain):
    def forward(self, x):
        def back(dy):
            self.dg = (dy * x).sum(axis=0)
            return dy * self.g

        self.back = back
        return x * self.g

    def backward(self, dy):
        return self.back(dy)


class Object(Plain):
    def forward(self, x):
        self.cache = SimpleNamespace(x=x)
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.cache.x).sum(axis=0)
        return dy * self.g


class ByName(Plain):
    def forward(self, x):
        setattr(self, "_".join("x"), x)
        return x * self.g


class InTheDictionary(Plain):
    def forward(self, x):
        vars(self)["x"] = x
        return x * self.g


class OwnMethod(Plain):
    """Its method has the name of the function below."""

    def forward(self, x):
        return self.keep(x)

    def keep(self, x):
        self.x = x
        return x * self.g


class InBackward(Plain):
    def backward(self, dy):
        self.dy = dy
        self.product = self.x * dy
        self.xs = list(self.x)
        return super().backward(dy)


class OfItsBase(InBackward):
    def forward(self, x):
        return super().forward(x)


def keep(layer, x):
    layer.x = x


class Helper(Plain):
    def forward(self, x):
        keep(self, x)
        return x * self.g


class Around(Plain):
    def __init__(self):
        super().__init__()
        self.inner = InBackward()
        self.layers = [self.inner]

    def forward(self, x):
        return super().forward(self.inner.forward(x))

    def backward(self, dy):
        return self.inner.backward(super().backward(dy))


KEEPING = [
    Plain, Placeholder, CacheDict, CacheTuple, Closure, Object, ByName, InTheDictionary, OwnMethod, InBackward,
    OfItsBase, Helper, Around,
]  # fmt: skip


@pytest.mark.parametrize("cls", KEEPING, ids=lambda cls: cls.__name__)
@copies
def test_no_copy_of_a_layer_of_ones_own_has_rows_in_it(cls, copied):
    layer = cls()
    dx = layer.backward(layer.forward(X) + 1)
    assert holds_a_row(layer, X)
    twin = copied(layer)
    assert not holds_a_row(twin, X) and not any(row.tobytes() in pickle.dumps(layer) for row in X)
    again = copied(twin)
    with pytest.raises((AttributeError, KeyError, TypeError)):
        again.backward(X)
    assert np.array_equal(layer.backward(layer.forward(X) + 1), dx)
    for fresh in (twin, again):
        assert np.array_equal(fresh.backward(fresh.forward(X) + 1), dx)
        assert fresh.config() == layer.config()


class Rich(Plain):
    """Everything that a layer may have: arguments, parameters, state, what is made of them, and what is of a batch."""

    mean = state()
    rng = state()

    def __init__(self, table, rate=0.5):
        super().__init__()
        self.table, self.rate, self.half = table, rate, table / 2
        self.mean, self.rng = np.zeros(3), np.random.default_rng(0)
        self.count, self.seen, self.mask = 0, [], None

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        self.count += 1
        self.seen.append(x)
        self.noise = float(self.rng.random())
        return super().forward(x) @ self.half

    def backward(self, dy):
        return super().backward(dy @ self.half.T)


@copies
def test_a_copy_has_what_is_declared_and_what_init_has_made(copied):
    layer = Rich(np.arange(9.0).reshape(3, 3))
    layer.rate, layer.note = 0.25, "hung on it"
    for _ in range(3):
        layer.backward(layer.forward(X))
    twin = copied(copied(layer))
    for name in ("table", "half", "mean", "g", "dg", "rate"):
        assert np.array_equal(getattr(twin, name), getattr(layer, name)), name
    assert twin.rng.random() == layer.rng.random()
    assert (twin.count, twin.seen, twin.mask) == (0, [], None)
    assert set(vars(layer)) - set(vars(twin)) == {"x", "noise", "note"}
    assert np.array_equal(twin.forward(X), layer.forward(X))


@example("layers")
@example("config")
@example("shared")
@given(st.from_regex(r"[a-z_][a-z_0-9]{0,8}", fullmatch=True) | st.sampled_from(sorted(set(dir(Layer)))))
def test_an_attribute_may_have_any_name_that_is_not_refused_by_name(name):
    """Only what every layer does is taken: a name of the protocol is refused, or has the meaning that it has there."""

    class Named(Plain):
        def __init__(self):
            super().__init__()
            setattr(self, name, 3)

    known = {
        "forward",
        "backward",
        "predict",
        "output_shape",
        "config",
        "layers",
        "g",
        "dg",
        "x",
        "input_shape",
        "row_axes",
    }
    if name in known or name.startswith("_"):
        return
    try:
        layer = Named()
    except AttributeError as error:
        taken = {"forward", "backward", "predict", "output_shape", "config", "layers", "params", "grads"}
        assert name in taken and f"every layer has {name}" in str(error)
        return
    model = Sequential([layer, Dense(3, 2)], seed=0)
    model.fit(X, X[:, :2], loss=MeanSquaredError(), optimizer=SGD(0.01), epochs=1)
    assert getattr(copy.deepcopy(layer), name) == 3 and np.isfinite(model.predict(X)).all()


@copies
def test_a_copy_made_between_forward_and_backward_says_to_call_forward(copied):
    model = Sequential([Dense(3, 3, seed=0), Residual(Plain()), Tanh()], dtype=np.float64)
    dy = np.ones_like(model.forward(X))
    twin = copied(model)
    with pytest.raises(AttributeError) as raised:
        twin.backward(dy)
    assert "what backward needs, forward keeps: call forward(x) first" in raised.value.__notes__
    expected = model.backward(dy)
    twin.forward(X)
    assert np.array_equal(twin.backward(dy), expected)


def test_no_file_has_rows_in_it(tmp_path):
    model = Sequential([Dense(3, 4), Tanh(), Residual(Dense(4, 4)), Dense(4, 3)], seed=0)
    x = np.random.default_rng(1).normal(size=(400, 3)).astype(np.float32)
    options = {"loss": MeanSquaredError(), "optimizer": SGD(0.01), "batch_size": 4}
    model.fit(x, x, **options, epochs=2, checkpoint=tmp_path / "checkpoint", validation=0.1)
    model.predict(x[:7])
    model.save(tmp_path / "model")
    (tmp_path / "pickle").write_bytes(pickle.dumps(load(tmp_path / "checkpoint")) + pickle.dumps(model))
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert not any(row.tobytes() in content for row in x)
