"""What the layers do, beyond the contract that check_layer proves: training against inference, state, composition."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import (
    CELU,
    SELU,
    SGD,
    Average,
    BatchNorm,
    CategoricalCrossEntropy,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    HardSigmoid,
    LayerNorm,
    LogSoftmax,
    MeanSquaredError,
    Mish,
    NegativeLogLikelihood,
    Objective,
    PReLU,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    Sequential,
    Softmax,
    Softsign,
    Standardize,
    Tanh,
)
from minigrad.parameter import decaying, states_of
from minigrad.testing import check_layer

RNG = np.random.default_rng(0)
TABLE = RNG.normal(2, 3, (40, 4))
IMAGES = RNG.normal(size=(6, 3, 2, 4))
CODED = np.column_stack([RNG.integers(0, 5, 40), RNG.integers(0, 3, 40), RNG.normal(size=(40, 2))])


def wide_and_deep():
    return Concatenate(
        Sequential([Columns(0, 1, integers=True), Embedding(5, 3), Flatten(), Dense(3, 4), Tanh()]),
        Sequential([Columns(1, 2, integers=True), Embedding(3, 2), Flatten()]),
        Columns(2, 4),
    )


MAKERS = {  # every layer, with rows that it takes
    "dropout": (lambda: Dropout(0.4), TABLE),
    "batch norm": (lambda: BatchNorm(4), TABLE),
    "batch norm of images": (lambda: BatchNorm(4, momentum=0.5, eps=1e-3), IMAGES),
    "layer norm": (lambda: LayerNorm(4), TABLE),
    "layer norm of images": (lambda: LayerNorm(4, eps=0.1), IMAGES),
    "rms norm": (lambda: RMSNorm(4), TABLE),
    "rms norm of images": (lambda: RMSNorm(4, eps=0.1), IMAGES),
    "flatten": (lambda: Flatten(), IMAGES),
    "reshape": (lambda: Reshape((4, 6)), IMAGES),
    "columns": (lambda: Columns(1, 3), TABLE),
    "columns of images": (lambda: Columns(0, 1), IMAGES),
    "embedding": (lambda: Embedding(5, 3), CODED[:, :1].astype(np.int64)),
    "residual": (lambda: Residual(Dense(4, 3), Tanh(), Dense(3, 4)), TABLE),
    "nested": (lambda: Residual(Residual(BatchNorm(4), Dropout(0.3)), Dense(4, 4)), TABLE),
    "average": (lambda: Average(Dense(4, 3), Sequential([Dense(4, 5), Tanh(), Dense(5, 3)])), TABLE),
    "concatenate": (lambda: Concatenate(Dense(4, 3), Columns(0, 2), Residual(Dense(4, 4))), TABLE),
    "wide and deep": (wide_and_deep, CODED),
    "standardize": (lambda: Standardize(4).fit(TABLE), TABLE),
    "standardize images": (lambda: Standardize(4).fit(IMAGES), IMAGES),
    "prelu": (lambda: PReLU(4), TABLE),
    "prelu of images": (lambda: PReLU(4, slope=0.1), IMAGES),
    "one slope": (lambda: PReLU(), IMAGES),
    "celu": (lambda: CELU(2.0), TABLE),
    "selu": (lambda: SELU(), TABLE),
    "mish": (lambda: Mish(), TABLE),
    "hard sigmoid": (lambda: HardSigmoid(), TABLE),
    "softsign": (lambda: Softsign(), TABLE),
    "log softmax": (lambda: LogSoftmax(), TABLE),
}
every_layer = pytest.mark.parametrize("name", MAKERS)
DTYPES = [np.float32, np.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def made(name, dtype=np.float64):
    """The layer in a model of that dtype, its parameters away from 0 and 1, and its rows."""
    make, x = MAKERS[name]
    model = Sequential([make()], dtype=dtype, seed=3)
    model.theta[...] += np.random.default_rng(4).normal(0, 0.3, model.theta.shape)
    return model, x if x.dtype.kind == "i" else x.astype(dtype)


OF_IMAGES_AND_COMPOSED = [name for name in MAKERS if "images" in name] + ["nested", "wide and deep", "one slope"]


@pytest.mark.parametrize("name", OF_IMAGES_AND_COMPOSED)  # tests/testing/test_contract.py has each layer alone
def test_the_contract(name):
    make, x = MAKERS[name]
    check_layer(make(), x)


@every_layer
@dtypes
def test_the_dtype_of_the_model_is_kept(name, dtype):
    model, x = made(name, dtype)
    y = model.forward(x)
    dx = model.backward(np.ones_like(y))
    assert y.dtype == model.predict(x).dtype == model.dtheta.dtype == dtype
    assert dx is None if x.dtype.kind == "i" else dx.dtype == dtype and dx.shape == x.shape
    assert y.shape[1:] == model.output_shape(x.shape[1:]) == model[0].output_shape(x.shape[1:])
    assert all(v.dtype == dtype for v in states_of(model[0]).values() if isinstance(v, np.ndarray))


@every_layer
@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_trains_the_same_way_and_apart(name, copied):
    model, x = made(name)
    other = copied(model)
    y = model.forward(x).copy()
    assert np.array_equal(other.forward(x), y)
    other.theta[...] = 0
    assert np.array_equal(made(name)[0].forward(x), y)
    assert model.theta.size == 0 or model.theta.any()


@every_layer
@dtypes
def test_training_is_reproducible(name, dtype):
    """A small network with the layer in it learns, and a second run gives the same bits."""

    def run():
        make, x = MAKERS[name]
        width = int(np.prod(Sequential([make()]).output_shape(x.shape[1:])))
        model = Sequential([make(), Flatten(), Dense(width, 2)], dtype=dtype, seed=1)
        t = np.column_stack([x.reshape(len(x), -1).sum(axis=1) % 3, x.reshape(len(x), -1)[:, 0]]) / 3
        return model, model.fit(x, t, loss=MeanSquaredError(), optimizer=SGD(0.001), epochs=8, batch_size=10, seed=2)

    (model, history), (other, second) = run(), run()
    assert np.array_equal(model.theta, other.theta) and history.loss == second.loss
    assert history.loss[-1] < history.loss[0]


# ----------------------------------------------------------------------------------------------------------- Dropout
@given(st.floats(0, 0.95), st.integers(0, 2**32 - 1))
def test_dropout_keeps_the_expectation(rate, seed):
    y = Dropout(rate, seed=seed).forward(np.full((100, 100), 3.0))
    kept = y != 0
    assert np.allclose(y[kept], 3 / (1 - rate), rtol=1e-15)
    six_sigma = 6 * np.sqrt(rate * (1 - rate) / y.size)
    assert abs(kept.mean() - (1 - rate)) <= six_sigma
    assert abs(y.mean() - 3) <= 3 * six_sigma / (1 - rate) + 1e-12


def test_dropout_drops_the_same_in_backward_and_other_units_in_the_next_forward():
    layer, x = Dropout(0.5, seed=0), np.ones((20, 30))
    first = layer.forward(x)
    assert np.array_equal(layer.backward(x), first)
    assert not np.array_equal(layer.forward(x), first)
    assert np.array_equal(layer.predict(x), x)
    assert np.array_equal(Dropout(0.5, seed=0).forward(x), first)
    assert np.array_equal(Dropout(0.0).forward(x), x)


def test_each_dropout_of_a_model_has_a_stream_of_its_own():
    def drops(seed):
        model = Sequential([Dropout(0.5), Dropout(0.5), Residual(Dropout(0.5)), Dropout(0.5, seed=7)], seed=seed)
        one, two, (three,), four = model[0], model[1], model[2].layers, model[3]
        x = np.ones((8, 8), np.float32)
        return [layer.forward(x) for layer in (one, two, three, four)]

    first, second, other = drops(0), drops(0), drops(1)
    assert all(map(np.array_equal, first, second))
    assert [np.array_equal(a, b) for a, b in zip(first, other, strict=True)] == [False, False, False, True]
    assert len({a.tobytes() for a in first}) == 4


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, np.nan])
def test_a_rate_is_a_share(rate):
    with pytest.raises(ValueError, match="at least 0 and less than 1"):
        Dropout(rate)


# ---------------------------------------------------------------------------------------------------- normalizations
@pytest.mark.parametrize("x", [TABLE, IMAGES, 1e4 + TABLE, 1e-3 * TABLE], ids=["table", "images", "far", "small"])
def test_batch_norm_brings_columns_to_mean_0_and_variance_1(x):
    layer = BatchNorm(4, eps=1e-12)
    y = layer.forward(x).reshape(-1, 4)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-5)
    layer.gamma, layer.beta = np.array([1, 2, 3, 4]), np.array([5, 6, 7, 8])
    z = layer.forward(x).reshape(-1, 4)
    np.testing.assert_allclose(z, y * [1, 2, 3, 4] + [5, 6, 7, 8], rtol=1e-12)


def test_batch_norm_keeps_running_statistics_of_the_biased_variance():
    layer, mean, var = BatchNorm(4, momentum=0.25), np.zeros(4), np.ones(4)
    for batch in np.split(TABLE, 4):
        layer.forward(batch)
        mean, var = 0.75 * mean + 0.25 * batch.mean(axis=0), 0.75 * var + 0.25 * batch.var(axis=0)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-12)
    expected = (TABLE - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(layer.predict(TABLE), expected, rtol=1e-12)
    rows = np.concatenate([layer.predict(TABLE[b : b + 1]) for b in range(len(TABLE))])
    assert np.array_equal(rows, layer.predict(TABLE))


def test_inference_of_batch_norm_nears_training():
    layer = BatchNorm(4)
    for _ in range(300):
        y = layer.forward(TABLE)
    np.testing.assert_allclose(layer.predict(TABLE), y, rtol=1e-9, atol=1e-9)


def test_batch_norm_refuses_batches_without_a_variance():
    layer = BatchNorm(4)
    with pytest.raises(ValueError, match=r"BatchNorm\(4\) can't train on 1 row, of which there is no variance"):
        layer.forward(TABLE[:1])
    with pytest.raises(ValueError, match="can't train on 0 rows"):
        layer.forward(TABLE[:0])
    assert layer.predict(TABLE[:0]).shape == (0, 4)
    assert layer.forward(IMAGES[:1]).shape == (1, 3, 2, 4)  # six pixels
    model = Sequential([Dense(4, 3), BatchNorm(3)])
    with pytest.raises(ValueError, match="choose a batch_size that leaves no last batch of one row"):
        model.fit(TABLE, TABLE[:, :3], loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=1, batch_size=13)


def test_a_layer_norm_is_a_batch_norm_across():
    y = LayerNorm(40).forward(TABLE.T)
    np.testing.assert_allclose(y.T, BatchNorm(4).forward(TABLE), rtol=1e-12)
    one = np.concatenate([LayerNorm(4).forward(TABLE[b : b + 1]) for b in range(len(TABLE))])
    np.testing.assert_allclose(LayerNorm(4).forward(TABLE), one, rtol=1e-12)


def test_rms_norm_brings_rows_to_size_1():
    y = RMSNorm(4, eps=0.0).forward(TABLE)
    np.testing.assert_allclose((y**2).mean(axis=1), 1, rtol=1e-12)
    centred = TABLE - TABLE.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(RMSNorm(4).forward(centred), LayerNorm(4).forward(TABLE), rtol=1e-9)


@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm, RMSNorm, Standardize])
def test_another_width_is_refused(kind):
    for shape in ((3,), (2, 5), ()):
        with pytest.raises(ValueError, match=rf"{kind.__name__}\(4\) takes rows of shape \(…, 4\)"):
            kind(4).output_shape(shape)
    with pytest.raises(ValueError, match="at least 1"):
        kind(0)


def test_biases_and_scales_do_not_decay():
    layers = [BatchNorm(4), LayerNorm(4), RMSNorm(4), PReLU(4), Embedding(3, 4)]
    assert [decaying(layer) for layer in layers] == [[], [], [], [], ["W"]]


# --------------------------------------------------------------------------------------------------------- Embedding
@given(st.data())
def test_an_embedding_is_a_product_with_one_hot_rows(data):
    vocabulary, features = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    shape = data.draw(st.sampled_from([(0,), (1,), (7,), (4, 3), (2, 3, 2), (0, 2)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(vocabulary, size=shape).astype(
        data.draw(st.sampled_from([np.int64, np.int8, np.uint8, np.uint64]))
    )
    layer, dy = Embedding(vocabulary, features, seed=0), rng.normal(size=(*shape, features))
    one_hot = np.eye(vocabulary)[x.astype(int)]
    assert np.array_equal(layer.forward(x), one_hot @ layer.W)
    layer.dW = rng.normal(size=layer.W.shape)
    assert layer.backward(dy) is None
    expected = one_hot.reshape(-1, vocabulary).T @ dy.reshape(-1, features)
    np.testing.assert_allclose(layer.dW, expected, rtol=1e-12, atol=1e-12)
    assert layer.output_shape(shape[1:]) == (*shape[1:], features)


@pytest.mark.parametrize("wrong", [-1, -3, 3, -7])
@pytest.mark.parametrize("vocabulary", [3, 300])
def test_an_embedding_refuses_what_it_has_no_vector_for(wrong, vocabulary):
    wrong = wrong if wrong < 0 else vocabulary
    for dtype in (np.int64, np.int16):
        with pytest.raises(IndexError, match=rf"Embedding\({vocabulary}, 2\) has no vector {wrong}; it has 0 to"):
            Embedding(vocabulary, 2).forward(np.array([[0, 1], [2, wrong]], dtype))
    with pytest.raises(IndexError, match=r"looks integers up, not float64; .* Columns\(start, stop, integers=True\)"):
        Embedding(vocabulary, 2).forward(np.ones((2, 1)))
    with pytest.raises(IndexError, match="not bool"):
        Embedding(vocabulary, 2).forward(np.ones(2, bool))


def test_a_model_of_integers_alone():
    x = RNG.integers(0, 5, (30, 2))
    model = Sequential([Flatten(), Embedding(5, 3), Flatten(), Dense(6, 2), Softmax()], seed=0)
    y = model.forward(x)
    assert y.dtype == np.float32 and model.backward(np.ones_like(y)) is None
    model.fit(x, x[:, 0] % 2, loss=CategoricalCrossEntropy(), optimizer=SGD(0.5), epochs=60, batch_size=8)
    assert (model.predict_classes(x) == x[:, 0] % 2).all()


@pytest.mark.parametrize("place", [3, 390])
def test_a_wrong_index_is_told_by_its_row_whichever_batch_it_would_be_in(place):
    x, t = RNG.integers(0, 5, (400, 2)), np.zeros((400, 1))
    row = np.random.default_rng((0, 0)).permutation(400)[place]
    x[row, 1] = 7
    model = Sequential([Embedding(5, 3), Flatten(), Dense(6, 1)], seed=0)
    theta = model.theta.copy()
    with pytest.raises(IndexError, match=rf"row {row} of x: Embedding\(5, 3\) has no vector 7; it has 0 to 4"):
        model.fit(x, t, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=1, batch_size=4)
    assert np.array_equal(model.theta, theta)
    table = np.tile(CODED, (10, 1))
    table[row, 1] = -1
    model = Sequential([wide_and_deep(), Dense(8, 1)])
    with pytest.raises(IndexError, match=rf"row {row} of x: Embedding\(3, 2\) has no vector -1"):
        model.fit(table, t, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=1, batch_size=4)


def test_bytes_are_looked_up_too():
    """And yet images of bytes are cast to floats, since a Dense takes those."""
    x, t = RNG.integers(0, 5, (50, 2)), RNG.normal(size=(50, 1))
    thetas = []
    for dtype in (np.uint8, np.int64):
        model = Sequential([Embedding(5, 3), Flatten(), Dense(6, 1)], seed=0)
        model.fit(x.astype(dtype), t, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=4, batch_size=4)
        thetas.append(model.theta)
    assert np.array_equal(*thetas)
    assert Sequential([Dense(2, 1)]).admit(x.astype(np.uint8)).dtype == np.float32


# ------------------------------------------------------------------------------------------------------------ shapes
def test_shapes_and_columns():
    assert np.array_equal(Flatten().forward(IMAGES), IMAGES.reshape(6, 24))
    assert Flatten().forward(IMAGES[:0]).shape == (0, 24)
    assert Reshape([4, 6]).forward(IMAGES[:0]).shape == (0, 4, 6)
    assert np.array_equal(Reshape((24,)).forward(IMAGES), Flatten().forward(IMAGES))
    assert np.array_equal(Columns(1, 3).forward(TABLE), TABLE[:, 1:3])
    with pytest.raises(ValueError, match=r"takes rows of 10 numbers; those of shape \(3, 4\) have 12"):
        Sequential([Reshape((2, 5))]).forward(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"needs at least 5 columns, not rows of shape \(4,\)"):
        Sequential([Columns(2, 5)]).forward(TABLE)
    for start, stop in ((-1, 2), (2, 2), (3, 1)):
        with pytest.raises(ValueError, match="counted from 0"):
            Columns(start, stop)


@dtypes
def test_columns_of_integers_are_whole_or_refused(dtype):
    columns = Columns(0, 2, integers=True)
    codes = columns.forward(np.array([[0, 3.0001, 0.5], [6.9999, 1, 0.5]], dtype))
    assert codes.dtype == np.intp and np.array_equal(codes, [[0, 3], [7, 1]])
    assert columns.backward(codes) is None
    for wrong in (1.5, 0.99, np.nan, -1.0):
        x = np.array([[0, wrong], [1, 1]], dtype)
        with pytest.raises(IndexError, match="has no vector -1; it has 0 to 8"):
            Embedding(9, 2).forward(columns.forward(x))


# -------------------------------------------------------------------------------------------------------- Standardize
def test_standardize_is_fitted_once():
    x = TABLE * [1, 100, 1e-6, 1] + [0, 1e4, 0, 5]
    x[:, 3] = 0.1  # constant
    layer = Standardize(4)
    for method in (layer.forward, layer.predict):
        with pytest.raises(ValueError, match=r"Standardize\(4\) has not been fitted; call its fit\(x\)"):
            method(x)
    assert layer.fit(x) is layer and repr(layer) == "Standardize(4, fitted=True)"
    y = layer.forward(x)
    np.testing.assert_allclose(y[:, :3].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(y[:, :3].std(axis=0), 1, rtol=1e-9)
    assert layer.scale[3] == 1 and np.abs(y[:, 3]).max() < 1e-15
    assert np.array_equal(Standardize(4).fit(IMAGES).mean, IMAGES.reshape(-1, 4).mean(axis=0))


def test_standardize_says_what_it_cannot_be_fitted_on():
    for x in (TABLE[:, :3], TABLE[0], TABLE[:0]):
        with pytest.raises(ValueError, match=r"is fitted on rows of 4 columns, not on x of shape"):
            Standardize(4).fit(x)
    x = TABLE.copy()
    x[3, 2] = np.nan
    with pytest.raises(ValueError, match="column 2 of x holds values that are not finite"):
        Standardize(4).fit(x)


def test_scaling_is_part_of_the_model():
    wide = TABLE * [1, 1e3, 1e-3, 1e2]
    t = TABLE[:, :1] - TABLE[:, 2:3]
    model = Sequential([Standardize(4).fit(wide), Dense(4, 1)], seed=0)
    history = model.fit(wide, t, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=50, batch_size=8)
    assert history.loss[-1] < 1e-6
    np.testing.assert_allclose(model.predict(wide), t, atol=1e-2)


# -------------------------------------------------------------------------------------------------------- composition
def test_a_residual_is_x_plus_f():
    f = Sequential([Dense(4, 3), Tanh(), Dense(3, 4)], dtype=np.float64, seed=1)
    block = Sequential([Residual(*copy.deepcopy(f).layers)], dtype=np.float64)
    dy = RNG.normal(size=TABLE.shape)
    assert np.array_equal(block.forward(TABLE), TABLE + f.forward(TABLE))
    assert np.array_equal(block.backward(dy), dy + f.backward(dy))
    assert np.array_equal(block.dtheta, f.dtheta)


def test_a_concatenation_is_its_branches_side_by_side():
    branches = [Dense(4, 3), Sequential([Dense(4, 2), Tanh()], dtype=np.float64), Columns(1, 3)]
    layer, dy = Concatenate(*copy.deepcopy(branches)), RNG.normal(size=(40, 7))
    assert np.array_equal(layer.forward(TABLE), np.concatenate([b.forward(TABLE) for b in branches], axis=1))
    shares = [b.backward(part) for b, part in zip(branches, np.split(dy, [3, 5], axis=1), strict=True)]
    np.testing.assert_allclose(layer.backward(dy), sum(shares), rtol=1e-12, atol=1e-12)
    assert np.array_equal(layer.layers[0].dW, branches[0].dW)


def test_inner_layers_predict_in_inference():
    for block in (Residual(Dropout(0.9)), Concatenate(Dropout(0.9)), Residual(Concatenate(Dropout(0.9)))):
        factor = 1 if type(block) is Concatenate else 2
        assert np.array_equal(block.predict(TABLE), factor * TABLE)
        assert not np.array_equal(block.forward(TABLE), factor * TABLE)
    norm = BatchNorm(4)
    assert Concatenate(norm).predict(TABLE[:1]).shape == (1, 4)
    assert not norm.running_mean.any()


def test_what_stands_in_a_composition_belongs_to_the_model():
    model = Sequential([Residual(Dense(4, 4)), Concatenate(Dense(4, 2), Sequential([Dense(4, 3)])), Dense(5, 1)])
    assert model.theta.size == 20 + 10 + 15 + 6
    inner = model[1].layers[1]
    assert np.shares_memory(model.theta, inner.theta)
    model.theta[...] = 1
    assert (inner[0].W == 1).all() and (model[0].layers[0].b == 1).all()
    shared = Dense(4, 4)
    for composition in (Residual(shared, shared), Concatenate(shared, Residual(shared))):
        with pytest.raises(ValueError, match="stands twice"):
            Sequential([composition])
    with pytest.raises(ValueError, match="another model"):
        Sequential([Residual(model[0].layers[0])])


def test_compositions_name_what_does_not_fit():
    with pytest.raises(ValueError, match=r"its layers turn \(4,\) into \(3,\); x \+ f\(x\) needs the same shape"):
        Residual(Dense(4, 3)).output_shape((4,))
    with pytest.raises(ValueError, match=r"its layers turn \(40, 4\) into \(40, 1\)"):
        Residual(Dense(4, 1)).forward(TABLE)
    with pytest.raises(ValueError, match=r"layer 2 of 2, Residual\(Dense\(4, 4\)\).* from layer 1, Dense\(3, 5\)"):
        Sequential([Dense(3, 5), Residual(Dense(4, 4))])
    with pytest.raises(ValueError, match="alike in the last axis only"):
        Concatenate(Flatten(), Columns(0, 1)).output_shape((3, 2, 4))
    assert Concatenate(Flatten(), Reshape((12,))).output_shape((3, 4)) == (24,)
    for kind in (Residual, Concatenate):
        with pytest.raises(ValueError, match=rf"{kind.__name__}\(\) needs at least one layer"):
            kind()
    assert repr(Residual(Dense(4, 4), ReLU())) == "Residual(Dense(4, 4), ReLU())"


def test_a_wide_and_deep_network_learns_from_codes():
    rng = np.random.default_rng(8)
    value = rng.normal(size=5)
    x = np.column_stack([rng.integers(0, 5, 200), rng.integers(0, 3, 200), rng.normal(size=(200, 2))])
    t = value[x[:, 0].astype(int)] * (x[:, 1] == 2) + x[:, 2]
    model = Sequential([wide_and_deep(), Dense(8, 16), Tanh(), Dense(16, 1)], seed=0)
    history = model.fit(x, t, loss=MeanSquaredError(), optimizer=SGD(0.1, momentum=0.9), epochs=60, batch_size=20)
    assert history.loss[-1] < 0.05 * t.var()


# -------------------------------------------------------------------------------------------------------- activations
def test_prelu_with_one_slope_is_prelu_with_equal_slopes():
    one, many, dy = PReLU(), PReLU(4), RNG.normal(size=IMAGES.shape)
    assert np.array_equal(one.forward(IMAGES), many.forward(IMAGES))
    assert np.array_equal(one.backward(dy), many.backward(dy))
    assert one.da.shape == (1,) and one.da[0] == pytest.approx(many.da.sum())
    assert PReLU().output_shape((7, 9)) == (7, 9)
    with pytest.raises(ValueError, match=r"PReLU\(features=4\) takes rows of shape \(…, 4\), not \(3,\)"):
        PReLU(4).output_shape((3,))
    for kind in (PReLU, Embedding):
        with pytest.raises(ValueError, match="at least 1"):
            kind(0, 1)
    with pytest.raises(ValueError, match="alpha must be finite and above 0"):
        CELU(0.0)


def test_selu_reproduces_mean_0_and_variance_1():
    """The fixed point: for a standard normal x, E[y] = 0 and E[y²] = 1, by quadrature."""
    x = np.linspace(-12, 12, 200001)
    weight = np.exp(-x * x / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    y = SELU().forward(x)
    assert (y * weight).sum() == pytest.approx(0, abs=1e-8)
    assert (y * y * weight).sum() == pytest.approx(1, abs=1e-8)


def test_log_softmax_with_its_loss_trains_as_softmax_does():
    t = np.eye(3)[RNG.integers(3, size=40)]
    models = [Sequential([Dense(4, 3), last], dtype=np.float64, seed=0) for last in (LogSoftmax(), Softmax())]
    losses = NegativeLogLikelihood(), CategoricalCrossEntropy()
    values = [Objective(m, loss).gradient(TABLE, t) for m, loss in zip(models, losses, strict=True)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    np.testing.assert_allclose(models[0].dtheta, models[1].dtheta, rtol=1e-9, atol=1e-12)
