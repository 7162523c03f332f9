"""Parameters, state and ownership: arrays that stay views of one vector, whatever is assigned, copied or pickled."""

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import Dense, Layer, MeanSquaredError, Objective, ReLU, Sequential, Sigmoid, parameter, state
from minigrad.model import Snapshot, claim
from minigrad.parameter import decaying, owner_of, pack, states_of, walk

COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
copies = pytest.mark.parametrize("copied", COPIES, ids=["copy", "deepcopy", "pickle"])
dtypes = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)


class Scale(Layer):
    """y = g x + h, which counts its forwards, keeps their mean and adds noise of its own."""

    g, dg = parameter()
    h, dh = parameter(decay=False)
    count = state()
    mean = state()
    rng = state()

    def __init__(self, features: int, *, seed: int | None = None) -> None:
        self.features, self.seed = features, seed
        self.rng = np.random.default_rng(seed)
        self.g = self.rng.normal(size=features)
        self.h = np.zeros(features)
        self.count = 0
        self.mean = np.zeros(features)

    def forward(self, x: Any) -> Any:
        self.x = x
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        return x * self.g + self.h + self.rng.normal(size=x.shape).astype(x.dtype)

    def backward(self, dy: Any) -> Any:
        self.dg = (dy * self.x).sum(axis=0)
        self.dh = dy.sum(axis=0)
        return dy * self.g


class Sum(Layer):
    """y = Σ f_i(x): a container of one's own, with a parameter of its own."""

    bias, dbias = parameter(decay=False)

    def __init__(self, branches: list[Layer]) -> None:
        self.branches = self.layers = branches
        self.bias = np.zeros(())

    def forward(self, x: Any) -> Any:
        return sum(layer.forward(x) for layer in self.branches) + self.bias

    def backward(self, dy: Any) -> Any:
        self.dbias = dy.sum()
        return sum(layer.backward(dy) for layer in self.branches)


@st.composite
def trees(draw: st.DrawFn, depth: int = 2) -> Layer:
    """A layer of three features that may hold others: chains and sums, nested."""
    kind = draw(st.sampled_from(["dense", "bare", "scale", "relu", *(["chain", "sum"] if depth else [])]))
    if kind in ("chain", "sum"):
        inner = draw(st.lists(trees(depth=depth - 1), min_size=1, max_size=3))
        return Sequential(inner, draw(dtypes)) if kind == "chain" else Sum(inner)
    made = {
        "dense": lambda: Dense(3, 3, seed=1),
        "bare": lambda: Dense(3, 3, bias=False, seed=2),
        "scale": lambda: Scale(3, seed=3),
        "relu": ReLU,
    }
    return made[kind]()


models = st.builds(Sequential, st.lists(trees(), min_size=1, max_size=3), dtypes)


def assert_views(model: Sequential, dtype: Any) -> None:
    """Every parameter is the next piece of theta, every gradient of dtheta; an inner model's theta is a piece too."""
    begin: dict[int, int] = {}
    start = 0

    def visit(layer: Layer) -> None:
        nonlocal start
        begin[id(layer)] = start
        for name in layer.params:
            p, g = layer.params[name], layer.grads[name]
            for array, vector in ((p, model.theta), (g, model.dtheta)):
                assert array.dtype == dtype and array.flags.c_contiguous
                assert array.size == 0 or np.shares_memory(array, vector[start : start + array.size])
                np.testing.assert_array_equal(array.reshape(-1), vector[start : start + array.size])
            start += p.size
        for value in states_of(layer).values():
            if isinstance(value, np.ndarray):
                assert value.dtype == dtype or value.dtype.kind == "i"
        for inner in layer.layers:
            visit(inner)
        if isinstance(layer, Sequential):
            for own, outer in ((layer.theta, model.theta), (layer.dtheta, model.dtheta)):
                piece = outer[begin[id(layer)] : start]
                assert own.shape == piece.shape and (own.size == 0 or np.shares_memory(own, piece))

    visit(model)
    assert start == model.theta.size == model.dtheta.size
    assert model.theta.dtype == model.dtheta.dtype == model.dtype == dtype
    assert model.theta.flags.c_contiguous and model.dtheta.flags.c_contiguous
    # Writing into the one is writing into the other, in both directions.
    model.theta[...] = np.arange(model.theta.size)
    written = [array.reshape(-1) for layer in walk([model]) for array in layer.params.values()]
    np.testing.assert_array_equal(np.concatenate([*written, []]), model.theta)


def test_a_lone_layer_is_float64_and_its_gradient_exists_from_first_access() -> None:
    layer = Scale(3)
    layer.g = [1, 2, 3]
    assert {a.dtype for a in (*layer.params.values(), *layer.grads.values())} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(Scale(3).dg, np.zeros(3))
    assert Dense(2, 3).dW.shape == (2, 3)
    assert list(layer.params) == list(layer.grads) == ["g", "h"] and decaying(layer) == ["g"]
    assert list(Dense(2, 2, bias=False).params) == ["W"]
    assert "not set" in repr(Dense(2, 2, bias=False).b)


@given(seed=seeds)
def test_assigning_a_parameter_writes_into_its_array(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = Dense(2, 3)
    W, dW, values = layer.W, layer.dW, rng.normal(size=(2, 3))
    layer.W = values
    assert layer.W is W and not np.shares_memory(W, values)
    np.testing.assert_array_equal(W, values)
    layer.W += 1
    layer.dW -= 2
    assert layer.W is W and layer.dW is dW
    np.testing.assert_array_equal(W, values + 1)
    np.testing.assert_array_equal(dW, np.full((2, 3), -2.0))
    layer.W = layer.W[::-1]  # an overlapping view of itself
    np.testing.assert_array_equal(W, (values + 1)[::-1])


@pytest.mark.parametrize("name", ["W", "dW", "b", "db"])
@pytest.mark.parametrize("shape", [(), (1,), (3, 2), (1, 3), (2, 1), (2, 3, 1)])
def test_assigning_a_parameter_refuses_another_shape(name: str, shape: tuple[int, ...]) -> None:
    layer = Dense(2, 3)
    before = vars(layer)[name].copy()
    with pytest.raises(ValueError, match=rf"Dense\.{name} has the shape .*{'2, 3' if 'W' in name else '3,'}"):
        setattr(layer, name, np.ones(shape))
    np.testing.assert_array_equal(vars(layer)[name], before)


def test_a_gradient_before_its_parameter_is_refused() -> None:
    class Hasty(Layer):
        W, dW = parameter()

        def __init__(self) -> None:
            self.dW = np.zeros(2)

    with pytest.raises(AttributeError, match=r"Hasty\.dW is assigned before"):
        Hasty()


def test_parameters_are_collected_over_the_whole_mro_and_overridden_by_name() -> None:
    class Mixin:
        m, dm = parameter()

    class Base(Layer):
        a, da = parameter()
        c, dc = parameter()
        s = state()

    class Other(Base):
        b, db = parameter()

    class Both(Other, Mixin):
        c, dc = parameter(decay=False)
        a = None  # no parameter any more

        def __init__(self) -> None:
            self.m = self.b = self.c = np.ones(2)
            self.s = 1.0

    layer = Both()
    assert list(layer.params) == ["m", "b", "c"] and decaying(layer) == ["m", "b"] and list(states_of(layer)) == ["s"]
    assert not np.shares_memory(layer.m, layer.b)
    layer.a = "anything"
    assert layer.a == "anything"


def test_state_keeps_arrays_generators_and_counters() -> None:
    layer = Scale(2, seed=0)
    count, mean = layer.count, layer.mean
    layer.forward(np.ones((4, 2)))
    layer.forward(np.ones((4, 2)))
    assert layer.count is count and count == 2 and count.dtype.kind == "i"
    assert layer.mean is mean and mean.dtype == np.float64
    rng = np.random.default_rng(5)
    layer.rng = rng
    assert states_of(layer)["rng"] is rng


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5)])
def test_a_counter_does_not_swallow_fractions(value: Any) -> None:
    layer = Scale(2)
    with pytest.raises(TypeError, match=r"Scale\.count holds int64.*start it as a float"):
        layer.count = value
    assert layer.count == 0


@pytest.mark.parametrize("value", [1.0, np.random.default_rng(0)])
def test_a_layer_in_a_model_gets_no_new_arrays_or_generators(value: Any) -> None:
    class Late(Layer):
        w, dw = parameter()
        s = state()

        def __init__(self) -> None:
            pass

        def forward(self, x: Any) -> Any:
            return x

    layer = Late()
    model = Sequential([layer])
    with pytest.raises(AttributeError, match=r"Late\.s is set for the first time"):
        layer.s = value
    if isinstance(value, float):
        with pytest.raises(AttributeError, match=r"Late\.w is set for the first time"):
            layer.w = value
    assert model.theta.size == 0


def test_a_model_with_a_parameter_of_its_own() -> None:
    class Scaled(Sequential):
        g, dg = parameter()

        def __init__(self, layers: list[Layer], early: bool) -> None:
            if early:
                self.g = np.ones(2)
            super().__init__(layers)
            self.g = np.full(2, 3.0)

    model = Scaled([Dense(2, 2)], early=True)
    assert_views(model, np.float32)
    # After super().__init__ a new array would stand beside theta, and never be trained.
    with pytest.raises(AttributeError, match=r"before super\(\)"):
        Scaled([Dense(2, 2)], early=False)


@given(layers=st.lists(trees(), min_size=1, max_size=3), dtype=dtypes)
def test_packing_keeps_values_and_makes_views(layers: list[Layer], dtype: Any) -> None:
    held = [(layer, name, array.copy()) for layer in walk(layers) for name, array in layer.params.items()]
    for layer in walk(layers):
        for gradient in layer.grads.values():
            gradient[...] = 7
    model = Sequential(layers, dtype)
    for layer, name, array in held:
        np.testing.assert_array_equal(layer.params[name], array.astype(dtype))
        np.testing.assert_array_equal(layer.grads[name], np.full(array.shape, 7, dtype))
    assert_views(model, dtype)


@given(model=models, dtype=dtypes)
def test_packing_again_changes_the_dtype_of_parameters_and_state(model: Sequential, dtype: Any) -> None:
    theta, _ = pack([model], dtype)
    assert np.shares_memory(theta, model.theta) or theta.size == 0
    assert_views(model, dtype)


@given(model=models, copied=st.sampled_from(COPIES), seed=seeds)
def test_copies_of_a_model_are_true_and_independent(model: Sequential, copied: Any, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(4, 3))
    model.forward(x)  # so that the layers hold what their backward needs
    twin = copied(model)
    assert repr(twin) == repr(model)
    np.testing.assert_array_equal(twin.theta, model.theta)
    np.testing.assert_array_equal(twin.dtheta, model.dtheta)
    assert not np.shares_memory(twin.theta, model.theta) and not np.shares_memory(twin.dtheta, model.dtheta)
    np.testing.assert_array_equal(twin.forward(x), model.forward(x))  # generators have the same state, and go on alike
    before = model.theta.copy()
    assert_views(twin, model.dtype)
    np.testing.assert_array_equal(model.theta, before)
    assert_views(model, model.dtype)
    assert all(owner_of(layer) is not None for layer in walk(twin.layers))


@copies
def test_copies_of_a_layer_are_free(copied: Callable[[Any], Any]) -> None:
    layer = Scale(3, seed=0)
    model = Sequential([layer, Sum([Dense(3, 3)])])
    twin = copied(layer)
    assert owner_of(layer) is model and owner_of(twin) is None
    assert not np.shares_memory(twin.g, model.theta) and twin.rng is not layer.rng
    np.testing.assert_array_equal(twin.g, layer.g)
    tree = copied(model.layers[1])
    assert [owner_of(inner) for inner in walk([tree])] == [None, None]
    assert_views(Sequential([twin, tree]), np.float32)


@given(model=models, seed=seeds)
def test_a_snapshot_restores_parameters_and_state_in_place(model: Sequential, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(4, 3))
    held = {(id(layer), n): v for layer in walk([model]) for n, v in (layer.params | states_of(layer)).items()}
    theta = model.theta.copy()
    saved = Snapshot([model])
    first = [model.forward(x) for _ in range(2)]
    counts = [layer.count.copy() for layer in walk([model]) if isinstance(layer, Scale)]
    for _ in range(2):  # a snapshot may be restored more than once
        model.theta[...] = np.nan
        saved.restore()
        np.testing.assert_array_equal(model.theta, theta)
        assert all(layer.count == 0 for layer in walk([model]) if isinstance(layer, Scale))
        for y in first:
            np.testing.assert_array_equal(model.forward(x), y)
    assert counts == [layer.count for layer in walk([model]) if isinstance(layer, Scale)]
    for layer in walk([model]):
        for name, value in (layer.params | states_of(layer)).items():
            assert value is held[id(layer), name]


def test_a_layer_stands_at_one_place_in_one_model() -> None:
    layer = Dense(3, 3)
    for twice in ([layer, layer], [layer, Sequential([Sum([ReLU(), copy.copy(layer)])]), layer], [Sum([layer]), layer]):
        with pytest.raises(ValueError, match=r"Dense\(3, 3\) (stands twice|already stands).*copy\.deepcopy"):
            Sequential(twice)
        assert owner_of(layer) is None  # a refused model leaves its layers free
    inner = Sequential([layer])
    with pytest.raises(ValueError, match="already stands in another model"):
        Sequential([Dense(3, 3), layer])
    outer = Sequential([inner])
    with pytest.raises(ValueError, match="already stands in another model"):
        Sequential([inner])
    with pytest.raises(ValueError, match="already stands in another model"):
        Sequential([Sum([layer])])
    assert owner_of(layer) is inner and owner_of(inner) is outer
    claim(inner, [layer])  # once more by its own owner


def test_the_layers_of_a_model_that_is_gone_are_free() -> None:
    layer = Dense(3, 3)
    model = Sequential([Sum([layer])])
    model.theta[...] = 5
    del model
    gc.collect()
    assert owner_of(layer) is None
    second = Sequential([layer], np.float64)
    np.testing.assert_array_equal(second.theta, np.full(12, 5.0))
    assert_views(second, np.float64)


def test_theta_dtheta_and_layers_can_not_be_rebound() -> None:
    model = Sequential([Dense(2, 2), Sequential([Sigmoid()])])
    theta, dtheta, layers = model.theta, model.dtheta, model.layers
    for name in ("theta", "dtheta"):
        with pytest.raises(
            AttributeError, match=rf"{name} can't be re-bound; write into it with model\.{name}\[\.\.\.\]"
        ):
            setattr(model, name, np.zeros(6, np.float32))
    with pytest.raises(AttributeError, match="layers can't be re-bound; make a new Sequential"):
        model.layers += (Sigmoid(),)  # type: ignore[operator, misc]
    model.theta[...] = 1
    model.theta -= 0.5
    model.dtheta *= 2
    assert model.theta is theta and model.dtheta is dtheta and model.layers is layers
    np.testing.assert_array_equal(model[0].params["W"], np.full((2, 2), 0.5))


@given(model=models, seed=seeds)
def test_gradients_land_in_dtheta(model: Sequential, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model.dtheta[...] = np.nan
    Objective(model, MeanSquaredError()).gradient(rng.normal(size=(4, 3)), rng.normal(size=(4, 3)))
    assert np.isfinite(model.dtheta).all()


def test_the_repr_and_config_of_a_layer() -> None:
    class Shift(Layer):
        def __init__(self, by: Any, *, times: Any = 1, gone: int = 2) -> None:
            self.by, self.times = by, times

        def forward(self, x: Any) -> Any:
            return x + self.times * self.by

    assert repr(Shift(3)) == "Shift(3)" and repr(Shift(3, times=2)) == "Shift(3, times=2)"
    assert repr(Shift(3, times=np.ones(2))) == "Shift(3, times=array([1., 1.]))"
    with pytest.raises(AttributeError, match=r"Shift\.__init__ must keep its argument 'gone' as self\.gone"):
        Shift(3).config()
    del (by_hand := Shift(3)).by
    assert repr(by_hand) == "Shift(…)"
    layer = Dense(2, 3, bias=False, seed=4)
    assert layer.config() == {"in_features": 2, "out_features": 3, "init": "glorot_uniform", "bias": False, "seed": 4}
    np.testing.assert_array_equal(Dense(**layer.config()).W, layer.W)
