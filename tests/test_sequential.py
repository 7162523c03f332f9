"""Sequential: errors at the door that say which layer, casts, inference that disturbs nothing, seeds."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from minigrad import (
    SGD,
    BinaryCrossEntropy,
    Dense,
    Identity,
    Layer,
    MeanSquaredError,
    Objective,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    parameter,
    sequential,
    state,
)

dtypes = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)


class Table(Layer):
    """y_b = W[x_b]: a user's own embedding."""

    W, dW = parameter()

    def __init__(self, vocabulary: int, features: int) -> None:
        self.vocabulary, self.features = vocabulary, features
        self.W = np.random.default_rng(0).normal(size=(vocabulary, features))

    def forward(self, x: Any) -> Any:
        self.x = x
        return self.W[x]

    def backward(self, dy: Any) -> None:
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.x, dy)


class Square(Layer):
    """y = x²: wraps around for small integers."""

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * x

    def backward(self, dy: Any) -> Any:
        return 2 * self.x * dy


class Noise(Layer):
    """y = x + e, e from the layer's own stream, which the constructor seeds."""

    rng = state()
    count = state()

    def __init__(self, *, seed: int | None = None) -> None:
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.count = 0

    def forward(self, x: Any) -> Any:
        self.count += 1
        return x + self.rng.normal(size=x.shape).astype(x.dtype)

    def backward(self, dy: Any) -> Any:
        return dy


class Sum(Layer):
    """y = Σ f_i(x); the branches are held a second time, under the constructor's name."""

    def __init__(self, branches: Any) -> None:
        self.branches = branches
        self.layers = list(branches.values() if isinstance(branches, dict) else branches)

    def forward(self, x: Any) -> Any:
        branches = self.branches.values() if isinstance(self.branches, dict) else self.branches
        return sum(layer.forward(x) for layer in branches)

    def backward(self, dy: Any) -> Any:
        branches = self.branches.values() if isinstance(self.branches, dict) else self.branches
        return sum(layer.backward(dy) for layer in branches)


class Skip(Sequential):
    """y = x + f(x): a Sequential whose forward is its own."""

    def forward(self, x: Any) -> Any:
        x = self.admit(x)
        return x + super().forward(x)

    def backward(self, dy: Any) -> Any:
        return dy + super().backward(dy)


class Broken(Layer):
    """Fails on rows that look like training data, not on zeros."""

    def forward(self, x: Any) -> Any:
        if x.any():
            raise KeyError("lost")
        return x

    def backward(self, dy: Any) -> Any:
        raise KeyError("lost")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential, "ROWS_AT_ONCE", 3)


def test_a_shape_that_does_not_fit_is_an_error_when_the_model_is_built() -> None:
    message = (
        r"layer 3 of 4, Dense\(4, 2\), takes rows of shape \(4,\) but is given rows of shape \(3,\) from layer 2, "
    )
    with pytest.raises(ValueError, match=message + r"Sigmoid\(\)"):
        Sequential([Dense(2, 3), Sigmoid(), Dense(4, 2), Sigmoid()])
    message = r"layer 1 of 1, Dense\(2, 3\), takes rows of shape \(2,\) but is given rows of shape \(5,\)$"
    with pytest.raises(ValueError, match=message):
        Sequential([Dense(2, 3)], input_shape=(5,))
    with pytest.raises(ValueError, match=r"layer 2 of 2, Dense\(4, 2\), takes .*\(4,\) but is given .*\(3,\) from"):
        Sequential([ReLU(), Dense(4, 2)], input_shape=(3,))
    with pytest.raises(
        ValueError, match=r"layer 2 of 2, Sequential\(\[Dense\(4, 2\)\]\), takes .*\(4,\) .*\(3,\) from"
    ):
        Sequential([Sequential([Dense(2, 3)]), Sequential([Dense(4, 2)])])


def test_an_error_inside_a_layer_that_fits_is_told_as_it_is() -> None:
    class Faulty(Layer):
        input_shape = (3,)

        def forward(self, x: Any) -> Any:
            raise KeyError("lost")

    with pytest.raises(ValueError, match=r"layer 1 of 1, Faulty\(\), is given rows of shape \(3,\): 'lost'$"):
        Sequential([Faulty()])


def test_the_first_x_completes_the_check_of_shapes() -> None:
    model = Sequential([ReLU(), Dense(4, 2)])
    message = r"layer 2 of 2, Dense\(4, 2\), takes rows of shape \(4,\) but is given rows of shape \(3,\) from layer 1"
    for call in (model.forward, model.predict):
        with pytest.raises(ValueError, match=message):
            call(np.ones((5, 3)))
    assert model.forward(np.ones((5, 4))).shape == (5, 2) and model.row_shape == (4,)
    with pytest.raises(ValueError, match=message):  # a later x too
        model.forward(np.ones((5, 3)))
    fixed = Sequential([ReLU()], input_shape=(4,))
    with pytest.raises(ValueError, match=r"rows of shape \(3,\); the model was made for rows of shape \(4,\)"):
        fixed.forward(np.ones((5, 3)))


def test_a_sequential_refuses_what_is_no_chain_of_layers() -> None:
    with pytest.raises(ValueError, match="at least one layer"):
        Sequential([])
    with pytest.raises(TypeError, match=r"layer 2 of 2 is not a layer but .*Sigmoid.*write Sigmoid\(…\)"):
        Sequential([Dense(2, 2), Sigmoid])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="layer 1 of 1 is not a layer but 'relu'"):
        Sequential(["relu"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="float32 or in float64"):
        Sequential([ReLU()], np.float16)


@pytest.mark.parametrize("x", [3.0, np.float64(3), [], "text", ["a", "b"], [[1, "a"]], [[None, 1.0]], [[1j]]])
@pytest.mark.parametrize("name", ["forward", "predict"])
def test_x_that_is_no_table_of_numbers_is_refused(x: Any, name: str) -> None:
    with pytest.raises(ValueError, match=r"x is .*takes rows, x of|rows of shape \(\)|not real numbers|not a number"):
        getattr(Sequential([Dense(2, 2)]), name)(x)


@given(dtype=dtypes, seed=seeds)
def test_x_is_cast_to_the_dtype_of_the_model(dtype: Any, seed: int) -> None:
    model = Sequential([Dense(2, 3, seed=0), Sigmoid(), Dense(3, 2, seed=1)], dtype)
    x = np.random.default_rng(seed).integers(0, 200, size=(4, 2))
    truth = model.forward(x.astype(dtype))
    frame = pd.DataFrame(x, columns=["a", "b"])
    kinds = [x, x.astype(np.uint8), x.astype(np.int16), x.astype(np.float64), x.astype(np.float32), x.tolist(), frame]
    for given_x in [
        *kinds,
        frame.astype({"a": "float64"}),
        frame.astype(object),
        np.asfortranarray(x),
        x[:, ::-1][:, ::-1],
    ]:
        for y in (model.forward(given_x), model.predict(given_x)):
            assert y.dtype == dtype
            np.testing.assert_allclose(y, truth, rtol=1e-5)
        assert model.backward(np.ones((4, 2))).dtype == dtype  # float64 and lists are cast here too
    flags = x > 100
    np.testing.assert_allclose(model.predict(flags), model.predict(flags.astype(dtype)), rtol=1e-6)
    mixed = pd.DataFrame({"a": x[:, 0] / 2, "b": flags[:, 0]})  # get_dummies makes such tables; NumPy sees objects
    np.testing.assert_allclose(model.predict(mixed), model.predict(mixed.astype(float)), rtol=1e-6)


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("nested", [False, True])
def test_integers_are_cast_unless_the_layers_look_them_up(kind: Any, dtype: Any, nested: bool) -> None:
    def model(*layers: Layer) -> Sequential:
        return Sequential([Sequential(layers)] if nested else layers, dtype)

    # What layers compute from integers would wrap around: 100 * 100 does in int8.
    x = np.array([[100, 3], [1, 120]], kind)
    for layers in (
        [Square()],
        [Square(), Dense(2, 2, seed=0)],
        [Dense(2, 2, seed=0)],
        [Identity(), Dense(2, 2, seed=0)],
    ):
        made = model(*layers)
        y = made.forward(x.astype(dtype))
        np.testing.assert_allclose(made.predict(x), y, rtol=1e-6)
        Objective(made, MeanSquaredError()).gradient(x, np.zeros((2, 2)))
        assert layers[-1].x.dtype == dtype  # also where the chain of an inner model is taken apart
        assert made.forward(x).dtype == dtype
    table = Table(5, 2)
    made = model(table, Dense(2, 2, seed=0))
    x = np.array([4, 0, 4], kind)
    y = made.predict(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[0], y[2])
    made.forward(x)
    assert table.x.dtype == kind and made.backward(np.ones((3, 2))) is None
    np.testing.assert_array_equal(table.dW[[1, 2, 3]], np.zeros((3, 2)))
    assert table.dW[[0, 4]].all()


@pytest.mark.usefixtures("small_blocks")
@given(rows=st.integers(0, 11), dtype=dtypes, seed=seeds)
def test_predict_is_forward_for_every_split_into_blocks(rows: int, dtype: Any, seed: int) -> None:
    model = Sequential([Dense(3, 4, seed=seed), Tanh(), Sum([Dense(4, 4, seed=seed), Identity()]), Softmax()], dtype)
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    y = model.predict(x)
    assert y.shape == (rows, 4) and y.dtype == dtype
    np.testing.assert_allclose(y, model.forward(x), rtol=30 * np.finfo(dtype).eps, atol=0)


def holders() -> Iterator[Any]:
    def inner() -> list[Layer]:
        return [Sequential([Dense(3, 3, seed=0), Noise(seed=1)]), Sum([Noise(seed=2), Dense(3, 3, seed=3)])]

    yield "chain", Sequential(inner())
    yield "list", Sum(inner())
    yield "tuple", Sum(tuple(inner()))
    yield "dict", Sum(dict(zip("ab", inner(), strict=True)))
    yield "skip", Skip(inner())


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("layer", [layer for _, layer in holders()], ids=[name for name, _ in holders()])
def test_predict_leaves_a_pending_backward_and_all_state_alone(layer: Layer) -> None:
    rng = np.random.default_rng(0)
    model = Sequential([copy.deepcopy(layer), Square()], np.float64)
    twin = copy.deepcopy(model)
    x, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    y = model.forward(x)
    model.predict(rng.normal(size=(7, 3)))
    model.predict(np.zeros((0, 3)))
    model.predict_classes(rng.normal(size=(2, 3)).astype(np.float32))
    model.output_shape((3,))
    dx = model.backward(dy)
    np.testing.assert_array_equal(y, twin.forward(x))
    np.testing.assert_array_equal(dx, twin.backward(dy))
    np.testing.assert_array_equal(model.dtheta, twin.dtheta)
    np.testing.assert_array_equal(model.forward(x), twin.forward(x))  # streams and counters stand where they stood


class Off(Layer):
    """y = 1000 x in training and x in inference, as different as a Dropout's two modes."""

    def forward(self, x: Any) -> Any:
        return 1000 * x

    def predict(self, x: Any) -> Any:
        return 1 * x

    def backward(self, dy: Any) -> Any:
        return 1000 * dy


def test_what_a_container_holds_predicts_too() -> None:
    x = np.arange(6.0).reshape(3, 2)
    for layer, times in [
        (Sum([Off(), Identity()]), 2),
        (Sum((Sequential([Off()]), Off())), 2),
        (Sum({"a": Sum([Off()]), "b": Skip([Off()])}), 3),
        (Skip([Skip([Off()])]), 3),
    ]:
        np.testing.assert_allclose(Sequential([layer]).predict(x), times * x)
        np.testing.assert_allclose(layer.predict(x), times * x)


def test_predict_returns_a_fresh_array() -> None:
    for layers in ([Identity()], [Identity(), Sequential([Identity()])], [ReLU()], [Dense(2, 2, bias=False)]):
        model = Sequential(layers)
        x, theta = np.ones((2, 2), model.dtype), model.theta.copy()
        y, z = model.predict(x), model.forward(x).copy()
        model.predict(x)[...] = np.nan
        np.testing.assert_array_equal(y, z)
        np.testing.assert_array_equal(x, np.ones((2, 2)))
        np.testing.assert_array_equal(model.theta, theta)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("nested", [False, True])
def test_a_subclass_with_a_forward_of_its_own_predicts_by_it(nested: bool) -> None:
    skip = Skip([Dense(2, 2, seed=0), Tanh()], np.float64)
    model = Sequential([skip, Identity()], np.float64) if nested else skip
    x = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(model.predict(x), x + np.tanh(x @ skip.layers[0].W), rtol=1e-13)
    np.testing.assert_allclose(model.predict(x), model.forward(x), rtol=1e-13)
    assert model.chain()[0] is skip
    Skip([Table(3, 2)])._meet(np.zeros((2, 1), np.int64))  # asking for integers does not run in circles


def test_an_error_inside_a_layer_names_the_layer() -> None:
    model = Sequential([Dense(2, 3), Broken()])
    for call in (model.forward, model.predict):
        with pytest.raises(KeyError) as caught:
            call(np.ones((5, 2)))
        assert caught.value.__notes__ == ["in layer 2 of 2, Broken(), which was given (5, 3)"]
    model.forward(np.zeros((5, 2)))
    with pytest.raises(KeyError) as caught:
        model.backward(np.ones((5, 3)))
    assert caught.value.__notes__ == ["in backward of layer 2 of 2, Broken(), given (5, 3)"]


def nest(*own: int | None) -> list[Layer]:
    return [
        Dense(3, 3, seed=own[0]),
        Noise(seed=own[1]),
        Sequential([Dense(3, 3), Noise()]),
        Sum([Dense(3, 3), Noise()]),
    ]


@given(seed=seeds)
def test_a_seed_draws_everything_anew_and_the_same_again(seed: int) -> None:
    x = np.ones((2, 3))
    first, again = Sequential(nest(None, None), seed=seed), Sequential(nest(None, None), seed=seed)
    np.testing.assert_array_equal(first.theta, again.theta)
    np.testing.assert_array_equal(first.forward(x), again.forward(x))
    other = Sequential(nest(None, None), seed=seed + 1)
    assert not np.array_equal(first.theta, other.theta)
    # One stream for each layer: no two layers of one kind draw the same.
    dense = [layer.params["W"] for layer in (first[0], first[2].layers[0], first[3].layers[0])]
    noise = [layer.rng.normal(size=3) for layer in (first[1], first[2].layers[1], first[3].layers[1])]
    for drawn in (dense, noise):
        assert len({array.tobytes() for array in drawn}) == 3


def test_seeds_of_ones_own_are_kept_and_without_a_seed_nothing_is_drawn() -> None:
    kept = Sequential(nest(5, 6), np.float64, seed=1)
    np.testing.assert_array_equal(kept[0].params["W"], Dense(3, 3, seed=5).W)
    np.testing.assert_array_equal(kept[1].rng.normal(size=3), np.random.default_rng(6).normal(size=3))
    # A layer with a seed of its own does not move the streams of the others.
    free = Sequential(nest(None, None), np.float64, seed=1)
    np.testing.assert_array_equal(kept[2].theta, free[2].theta)
    inner = Sequential([Dense(3, 3)], np.float64, seed=7)
    drawn = inner.theta.copy()
    np.testing.assert_array_equal(Sequential([inner], np.float64, seed=8).theta, drawn)
    layer = Dense(3, 3)
    W = layer.W.copy()
    np.testing.assert_array_equal(Sequential([layer], np.float64)[0].params["W"], W)


def test_repr_config_and_summary_of_a_sequential() -> None:
    model = Sequential([Dense(400, 25), Sigmoid(), Sequential([Dense(25, 10, bias=False)])], np.float64, seed=3)
    assert repr(model) == (
        "Sequential([Dense(400, 25), Sigmoid(), Sequential([Dense(25, 10, bias=False)], dtype='float64')], "
        "dtype='float64')"
    )
    config = model.config()
    assert config == {"layers": list(model.layers), "dtype": "float64", "input_shape": None, "seed": 3}
    rebuilt = Sequential(**config | {"layers": [copy.deepcopy(layer) for layer in model]})
    np.testing.assert_array_equal(rebuilt.theta, model.theta)
    lines = model.summary().splitlines()
    assert lines[1].split() == ["1", "Dense(400,", "25)", "(25,)", "10,025", "98%"]
    assert lines[3].split()[-3:] == ["(10,)", "250", "2%"]
    assert lines[-1] == "10,275 parameters, float64, 82,200 bytes"
    assert "?" in Sequential([ReLU()]).summary() and "?" not in Sequential([ReLU()], input_shape=(2,)).summary()
    assert len(model) == 3 and list(model) == list(model.layers) and model[-1] is model.layers[2]
    assert model.input_shape == (400,) and model.output_shape((400,)) == (10,)


def test_predict_classes() -> None:
    model = Sequential([Identity()])
    np.testing.assert_array_equal(model.predict_classes([[0.1, 0.7, 0.2], [3, 1, 2]]), [1, 0])
    np.testing.assert_array_equal(model.predict_classes([[0.5], [0.49]]), [1, 0])
    assert model.predict_classes(np.zeros((0, 3))).shape == (0,)
    with pytest.raises(ValueError, match="one row of outputs for each row of x"):
        model.predict_classes(np.ones(3))
    assert model.predict_classes(np.eye(4)[None, :3]).tolist() == [[0, 1, 2]]
    trained = Sequential([Dense(1, 1, seed=0), Sigmoid()])
    x, labels = [[-1.0], [1.0]], ["no", "yes"]
    trained.fit(x, labels, loss=BinaryCrossEntropy(), optimizer=SGD(1.0), epochs=20)
    assert trained.predict_classes(x).tolist() == labels
    assert copy.deepcopy(trained).predict_classes(x).tolist() == labels


def test_the_latest_rows_of_an_inner_model_bind_no_outer_one() -> None:
    inner = Sequential([Tanh()])
    inner.predict(np.zeros((2, 3)))
    assert inner.row_shape == (3,) and inner.input_shape is None
    assert Sequential([inner, Dense(4, 2)]).predict(np.zeros((2, 4))).shape == (2, 2)


def test_errors_tell_a_beginner_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"takes a list of layers: Sequential\(\[Dense\(2, 1\), …\]\)"):
        Sequential(Dense(2, 1), Sigmoid())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a tuple, here \(2,\)"):
        Sequential([ReLU()], input_shape=2)  # type: ignore[arg-type]
    model = Sequential([Dense(2, 1), Sigmoid()])
    with pytest.raises(ValueError, match=r"x\[None\] if it is one row, x\[:, None\] if it is one column"):
        model.predict([1.0, 2.0])
    with pytest.raises(ValueError, match="x is None"):
        model.predict(None)
    with pytest.raises(ValueError, match=r"x is .t\.csv., where rows of numbers belong"):
        model.fit("t.csv", [0, 1], loss=BinaryCrossEntropy(), optimizer=SGD(1.0), epochs=1)
    with pytest.raises(ValueError, match="x is 'red' in row 0, column 1: not a number"):
        model.predict([["1", "red"]])
    with pytest.raises(AttributeError) as caught:
        model.backward(np.ones((1, 1)))
    assert "call forward(x) first" in caught.value.__notes__[-1]


def test_numbers_written_as_text_are_numbers() -> None:
    """In predict as in fit."""
    model = Sequential([Dense(2, 1, seed=0)])
    np.testing.assert_array_equal(model.predict([["1", "0.5"]]), model.predict([[1, 0.5]]))
