"""What was trained, used again: frozen layers, one table at two places, and optimizers by part."""

import copy

import numpy as np
import pytest

from minigrad import (
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    ByPart,
    CategoricalCrossEntropy,
    ClipByNorm,
    Dense,
    Dropout,
    Embedding,
    Frozen,
    Layer,
    Objective,
    ReLU,
    Sequential,
    Softmax,
    Tanh,
    Tied,
    load,
)
from minigrad.testing import check_model
from tests.both_ways import fit_both_ways

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(60, 4)), RNG.integers(0, 3, 60)
LOSS = CategoricalCrossEntropy()


def trained():
    model = Sequential([Dense(4, 6), BatchNorm(6), ReLU(), Dropout(0.3), Dense(6, 3), Softmax()], seed=0)
    model.fit(X, LABELS, loss=LOSS, optimizer=Adam(0.01), epochs=3)
    return model


def test_a_frozen_part_stays_as_it_is_whatever_trains_the_rest(tmp_path):
    old = trained()
    part = Sequential(copy.deepcopy(old.layers[:4]))
    expected = part.predict(X)

    def make():
        return Sequential([Frozen(copy.deepcopy(part)), Dense(6, 3), Softmax()], seed=1)

    assert np.array_equal(make()[0].forward(part.admit(X)), expected)
    model, _ = fit_both_ways(make, X, LABELS, lambda: AdamW(0.02, weight_decay=0.1), loss=LOSS, epochs=8, l2=0.1)
    assert np.array_equal(model[0].predict(model.admit(X)), expected)
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict(X), model.predict(X)) and again.theta.size == model.theta.size == 21
    check_model(Sequential([*copy.deepcopy(model.layers)], dtype=np.float64), LOSS, X, np.eye(3)[LABELS])


def test_what_can_not_be_frozen_is_told():
    class Noisy(Layer):
        def forward(self, x):
            return x + 1

        def predict(self, x):
            return x

    model = trained()
    with pytest.raises(ValueError, match=r"stands in a model, which trains it; put copy\.deepcopy\(layer\)"):
        Frozen(model[0])
    with pytest.raises(ValueError, match="infers in another way than it trains"):
        Frozen(Noisy())
    with pytest.raises(TypeError, match="takes a layer"):
        Frozen([Dense(2, 3)])
    model[0].trainable = False
    with pytest.raises(ValueError, match=r"make the model with Frozen\(layer\) in its place"):
        Objective(model, LOSS)


def words(dtype=np.float32):
    table = Embedding(7, 4)
    return Sequential([table, Dense(4, 4), Tanh(), Tied(table), Softmax()], dtype, seed=2)


def test_a_table_at_two_places_is_one_parameter(tmp_path):
    x, t = RNG.integers(0, 7, (9, 3)), RNG.integers(0, 7, (9, 3))
    model = words(np.float64)
    assert model.theta.size == 7 * 4 + 20
    check_model(model, LOSS, x, np.eye(7)[t])
    model, _ = fit_both_ways(words, x, t, lambda: Adam(0.01), loss=LOSS, epochs=12, batch_size=3)
    model.save(tmp_path / "m.safetensors")
    for again in (load(tmp_path / "m.safetensors"), copy.deepcopy(model)):
        assert again[3].embedding is again[0]
        assert np.array_equal(again.predict(x), model.predict(x))
        again[0].W[...] = 0
        assert not again[3].forward(np.ones((1, 4), np.float32)).any()


@pytest.mark.parametrize("wrapped", [lambda optimizer: optimizer, lambda optimizer: ClipByNorm(optimizer, 0.5)])
@pytest.mark.parametrize("key", [0, -2, "Dense", "b"])
def test_parts_are_trained_by_optimizers_of_their_own(key, wrapped):
    def make():
        return Sequential([Dense(4, 6), Tanh(), BatchNorm(6), Dense(6, 3), Softmax()], seed=5)

    def optimizer():
        used.append(wrapped(ByPart({key: SGD(0.0)}, default=Adam(0.01))))
        return used[-1]

    used, start = [], make()
    model, _ = fit_both_ways(make, X, LABELS, optimizer, loss=LOSS, epochs=6, batch_size=8)
    for each in used:
        state = each.state()
        each.load_state(state)
        assert all(np.array_equal(each.state()[name], value) for name, value in state.items())
    for position, name in [(0, "W"), (0, "b"), (2, "gamma"), (3, "W"), (3, "b")]:
        still = key in (position, position - 5, name) or (key == "Dense" and position != 2)
        assert np.array_equal(model[position].params[name], start[position].params[name]) == still


def test_parts_that_are_not_clear_are_told():
    model = Sequential([Dense(4, 6), Tanh(), Dense(6, 3), Softmax()])
    for optimizers, message in [
        ({0: SGD(), "b": SGD()}, "0 and 'b' both find b of Dense"),
        ({7: SGD()}, "there is no layer 7 among 4"),
        ({"Conv2D": SGD()}, "'Conv2D' finds no parameter"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(X, LABELS, loss=LOSS, optimizer=ByPart(optimizers, default=SGD()), epochs=1)
    with pytest.raises(ValueError, match=r"call bind\(model\) before the first step"):
        ByPart({0: SGD()}, default=SGD()).step(model.theta, model.dtheta)
    one = SGD()
    with pytest.raises(ValueError, match="an optimizer of its own"):
        ByPart({0: one}, default=one)
