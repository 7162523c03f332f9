"""What every optimizer promises: a state that continues bit for bit, schedules, dtypes, honest arguments."""

import copy
import pickle
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minigrad import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    ByPart,
    ClipByNorm,
    ClipByValue,
    Lion,
    NAdam,
    Optimizer,
    ParameterAverage,
    RAdam,
    RMSprop,
    Rprop,
)
from minigrad.optimizers import Wrapper, adam_relatives

rates = st.floats(1e-4, 0.3)
fractions = st.floats(0, 0.999)
decays = st.just(0.0) | st.floats(0, 0.3)
tinies = st.floats(1e-10, 1e-2)


def sgd(learning_rate, momentum, nesterov, weight_decay):
    return SGD(learning_rate, momentum, nesterov and momentum > 0, weight_decay)


class Row(NamedTuple):
    optimizers: st.SearchStrategy[Optimizer]
    wrong: dict[str, float]
    """Arguments that the constructor refuses."""


adams = {"learning_rate": rates, "beta1": fractions, "beta2": fractions, "eps": tinies, "weight_decay": decays}
adams_wrong = {"beta1": 1.0, "beta2": -0.1, "eps": -1e-8}

TABLE = {
    SGD: Row(st.builds(sgd, rates, st.just(0.0) | fractions, st.booleans(), decays), {"momentum": 1.0}),
    Adam: Row(st.builds(Adam, **adams), adams_wrong),
    AdamW: Row(st.builds(AdamW, **adams), adams_wrong),
    RMSprop: Row(
        st.builds(RMSprop, rates, fractions, tinies, st.just(0.0) | fractions, decays),
        {"alpha": 1.0, "momentum": 1.0, "eps": -1e-8},
    ),
    Adagrad: Row(st.builds(Adagrad, rates, tinies, decays), {"eps": np.nan}),
    Adadelta: Row(st.builds(Adadelta, rates, fractions, tinies, decays), {"rho": 1.0, "eps": -1e-8}),
    Adamax: Row(st.builds(Adamax, **adams), adams_wrong),
    NAdam: Row(st.builds(NAdam, **adams, momentum_decay=fractions), adams_wrong | {"momentum_decay": -1.0}),
    RAdam: Row(st.builds(RAdam, **adams | {"beta2": st.floats(0.7, 0.999)}), adams_wrong),
    Lion: Row(st.builds(Lion, rates, fractions, fractions, decays), {"beta1": 1.0, "beta2": -0.1}),
    Rprop: Row(
        st.builds(Rprop, rates, fractions, st.floats(1, 2), weight_decay=decays), {"eta_minus": 1.0, "most": -1.0}
    ),
}


def clipped(kind):
    """By default a limit that leaves some gradients alone and not others."""

    def make(learning_rate=0.01, weight_decay=0.0, limit=1.0, inner=SGD, **options):
        return kind(inner(learning_rate, weight_decay=weight_decay, **options), limit)

    return make


def averaged(learning_rate=0.01, weight_decay=0.0, decay=0.9, inner=Adam, **options):
    return ParameterAverage(inner(learning_rate, weight_decay=weight_decay, **options), decay)


inners = st.one_of(*(row.optimizers for row in TABLE.values()))
limits = st.floats(0.01, 10)
TABLE |= {
    ClipByNorm: Row(st.builds(ClipByNorm, inners, limits), {"limit": 0.0}),
    ClipByValue: Row(st.builds(ClipByValue, inners | st.builds(ClipByNorm, inners, limits), limits), {"limit": np.inf}),
    ParameterAverage: Row(
        st.builds(ParameterAverage, inners | st.builds(ClipByNorm, inners, limits), fractions), {"decay": 1.0}
    ),
}
MADE = {kind: kind for kind in TABLE} | {
    ClipByNorm: clipped(ClipByNorm),
    ClipByValue: clipped(ClipByValue),
    ParameterAverage: averaged,
    Adadelta: lambda *rate, eps=1e-2, **options: Adadelta(*rate, eps=eps, **options),
}
"""How the tests below make one from a learning rate and a weight decay."""

every_optimizer = pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
dtypes = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=settings.default.max_examples // 2)  # of each kind


def drawn(data, kind):
    """An optimizer, a start, and some gradients."""
    optimizer, rng = data.draw(TABLE[kind].optimizers, "optimizer"), np.random.default_rng(data.draw(seeds, "seed"))
    size, steps, dtype = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 8), "steps"), data.draw(dtypes, "dtype")
    return optimizer, rng.normal(size=size).astype(dtype), rng.normal(size=(steps, size)).astype(dtype)


def spoil(state):
    for value in state.values():
        if isinstance(value, np.ndarray):
            value.fill(np.nan)


def alike(state, other):
    """Whether two states have the same names, and the same values under them."""
    return set(state) == set(other) and all(np.array_equal(state[name], value) for name, value in other.items())


def run(optimizer, theta, gradients):
    theta = theta.copy()
    for g in gradients:
        optimizer.step(theta, g)
    return theta


def subclasses(cls):
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def test_every_optimizer_of_the_package_has_a_row():
    own = {cls for cls in subclasses(Optimizer) if cls.__module__.split(".")[0] == "minigrad"}
    assert own ^ {Optimizer, Wrapper, ByPart, *TABLE} == set(), "give it a row in TABLE: its arguments, and wrong ones"


def fresh(optimizer):
    """Another one, made in the same way."""
    config = optimizer.config()
    if isinstance(optimizer, Wrapper):
        config["optimizer"] = fresh(optimizer.optimizer)
    return type(optimizer)(**config)


def by_state(optimizer):
    other = fresh(optimizer)
    other.load_state(optimizer.state())
    return other


AGAIN = {"state": by_state, "copy": copy.deepcopy, "pickle": lambda o: pickle.loads(pickle.dumps(o))}


@every_optimizer
@given(st.data(), st.sampled_from(sorted(AGAIN)))
def test_an_optimizer_put_back_to_its_state_continues_bit_for_bit(kind, data, way):
    optimizer, theta, gradients = drawn(data, kind)
    half = data.draw(st.integers(0, len(gradients)), "half")
    optimizer.epochs = 3
    theta = run(optimizer, theta, gradients[:half])
    other = AGAIN[way](optimizer)
    assert (other.steps, other.epochs) == (half, 3)
    kept = other.state()
    expected = run(optimizer, theta, gradients[half:])
    assert alike(kept, other.state())  # nothing is shared
    assert np.array_equal(run(other, theta, gradients[half:]), expected)
    assert alike(optimizer.state(), other.state())


@every_optimizer
@some
@given(st.data())
def test_the_state_of_an_optimizer_is_a_copy_both_ways(kind, data):
    optimizer, theta, gradients = drawn(data, kind)
    run(optimizer, theta, gradients)
    expected = run(copy.deepcopy(optimizer), theta, gradients)
    given, taken = optimizer.state(), optimizer.state()
    spoil(given)
    optimizer.load_state(taken)
    spoil(taken)
    assert np.array_equal(run(optimizer, theta, gradients), expected)


@every_optimizer
@settings(max_examples=settings.default.max_examples // 5)  # each draws one of every kind
@given(st.data())
def test_the_state_of_another_optimizer_is_refused_and_changes_nothing(kind, data):
    optimizer, theta, gradients = drawn(data, kind)
    run(optimizer, theta, gradients)
    expected = run(copy.deepcopy(optimizer), theta, gradients)
    own = optimizer.state()
    foreign = [{}, {"steps": 3, "memory": theta}, own | {"other": theta}]
    for other in (data.draw(row.optimizers) for row in TABLE.values()):
        other.prepare(theta)
        named = {name for _, name in other.slots()}
        if named and named != {name for _, name in optimizer.slots()}:
            foreign.append(other.state())
    for state in foreign:
        with pytest.raises(ValueError, match="can't take a state of"):
            optimizer.load_state(state)
        assert alike(own, optimizer.state())
    assert np.array_equal(run(optimizer, theta, gradients), expected)


def test_a_state_with_a_part_of_the_memory_is_refused():
    sgd, rmsprop = SGD(momentum=0.9), RMSprop(momentum=0.9)
    sgd.step(np.ones(2), np.ones(2))
    with pytest.raises(
        ValueError, match="a state of epochs, steps, velocity; it consists of steps, epochs, v, velocity"
    ):
        rmsprop.load_state(sgd.state())


@every_optimizer
@some
@given(st.data())
def test_a_schedule_is_the_same_steps_at_the_same_rates(kind, data):
    optimizer, theta, gradients = drawn(data, kind)
    listed = data.draw(st.lists(rates, min_size=len(gradients), max_size=len(gradients)), "rates")
    scheduled = fresh(optimizer)
    scheduled.learning_rate = listed.__getitem__
    moved = theta.copy()
    for rate, g in zip(listed, gradients, strict=True):
        scheduled.step(theta, g)
        optimizer.learning_rate = rate
        optimizer.step(moved, g)
        assert np.array_equal(theta, moved)


@every_optimizer
@some
@given(st.data())
def test_coefficients_are_plain_floats_that_depend_on_the_step_alone(kind, data):
    optimizer, theta, gradients = drawn(data, kind)
    optimizer.learning_rate = lambda step: np.float32(0.1) / (step + 1)
    before = [optimizer.coefficients(step) for step in range(5)]
    assert all(type(value) is float for numbers in before for value in numbers.values())
    run(optimizer, theta, gradients)
    optimizer.load_state({"steps": 17, "epochs": 2})
    assert [optimizer.coefficients(step) for step in range(5)] == before
    assert optimizer.steps == 17


@every_optimizer
@some
@given(st.data())
def test_a_step_keeps_the_dtype_and_place_of_theta_and_the_gradient(kind, data):
    optimizer, theta, gradients = drawn(data, kind)
    whole = np.concatenate([theta, theta])
    part, rest = whole[: theta.size], whole[theta.size :]
    for steps, g in enumerate(gradients, 1):
        kept = g.copy()
        g.flags.writeable = False
        optimizer.step(part, g)
        assert np.array_equal(g, kept)
        assert optimizer.steps == steps
    assert np.array_equal(rest, theta)
    memory = [value for value in optimizer.state().values() if isinstance(value, np.ndarray)]
    assert all(value.dtype == theta.dtype and np.isfinite(value).all() for value in memory)
    assert whole.dtype == theta.dtype
    assert np.array_equal(whole[: theta.size], run(fresh(optimizer), theta, gradients))


@every_optimizer
@some
@given(st.data())
def test_each_parameter_moves_on_its_own_but_for_a_norm(kind, data):
    optimizer, theta, gradients = drawn(data, kind)
    for part in optimizer.parts():
        if isinstance(part, ClipByNorm):
            part.limit = 100.0
    alone = [run(copy.deepcopy(optimizer), theta[i : i + 1], gradients[:, i : i + 1]) for i in range(len(theta))]
    np.testing.assert_allclose(run(optimizer, theta, gradients), np.concatenate(alone), rtol=1e-5, atol=1e-6)


@every_optimizer
def test_an_optimizer_finds_the_minimum_of_a_quadratic(kind):
    optimizer, theta = MADE[kind](learning_rate=lambda step: 0.3 * (1 - step / 2000)), np.array([3.0, -2.0])
    for _ in range(2000):
        optimizer.step(theta, theta * [1.0, 4.0])
    assert (np.abs(theta) < 0.02).all()


@every_optimizer
def test_a_gradient_of_zero_moves_nothing(kind):
    theta = np.array([1.0, -2.0], np.float32)
    optimizer = MADE[kind](0.1, weight_decay=0.0)
    for _ in range(3):
        optimizer.step(theta, np.zeros(2, np.float32))
    assert theta.tolist() == [1, -2]


@every_optimizer
def test_an_optimizer_refuses_a_second_model(kind):
    options = {"momentum": 0.9} if kind in (SGD, RMSprop, ClipByNorm, ClipByValue) else {}
    for other, said in ((np.ones(4, np.float32), "not for 4 of float32"), (np.ones(3), "not for 3 of float64")):
        optimizer = MADE[kind](**options)
        optimizer.step(np.ones(3, np.float32), np.ones(3, np.float32))
        state, kept = optimizer.state(), other.copy()
        with pytest.raises(ValueError, match=f"used for 3 parameters of float32, {said}; every model needs"):
            optimizer.step(other, other)
        assert np.array_equal(other, kept)
        assert alike(state, optimizer.state())


@every_optimizer
def test_wrong_arguments_of_an_optimizer_are_named(kind):
    everywhere = [("learning_rate", wrong) for wrong in (-0.1, np.inf, np.nan)] + [("weight_decay", -1e-3)]
    for name, value in [] if issubclass(kind, Wrapper) else everywhere:
        with pytest.raises(ValueError, match=f"{kind.__name__}: {name}={value}"):
            kind(**{name: value})
    for name, value in TABLE[kind].wrong.items():
        with pytest.raises(ValueError, match=f"{kind.__name__}: {name}={value}"):
            MADE[kind](**{name: value})


def test_nesterov_needs_a_momentum():
    with pytest.raises(ValueError, match="momentum above 0"):
        SGD(nesterov=True)


@every_optimizer
@some
@given(st.data())
def test_the_repr_of_an_optimizer_makes_it_again(kind, data):
    optimizer = data.draw(TABLE[kind].optimizers)
    assert repr(eval(repr(optimizer), {cls.__name__: cls for cls in TABLE})) == repr(optimizer)


def test_the_weight_decay_of_adamw_keeps_its_digits_in_float32():
    """Each θ is rounded, but not all of them in one direction, as they would be by a rounded factor 1 - ηλ."""
    theta = np.random.default_rng(0).uniform(1, 2, 100_000).astype(np.float32)
    before = theta.astype(np.float64)
    AdamW(1e-3, weight_decay=1e-3).step(theta, np.zeros_like(theta))
    assert (before - theta).sum() == pytest.approx(1e-6 * before.sum(), rel=0.005)


def test_an_optimizer_of_ones_own():
    class Sign(Optimizer):
        def coefficients(self, step):
            return {"eta": self.rate(step)}

        def update(self, theta, dtheta, *, eta):
            theta -= eta * np.sign(dtheta)

    theta = np.array([1.0, -1.0])
    Sign(0.5).step(theta, np.array([3.0, -1e-9]))
    assert theta.tolist() == [0.5, -0.5]
    with pytest.raises(NotImplementedError, match="Optimizer has no coefficients"):
        Optimizer(0.1).step(theta, theta)
    with pytest.raises(NotImplementedError, match="Optimizer has no update"):
        Optimizer(0.1).update(theta, theta)


vectors = st.integers(1, 6).flatmap(
    lambda size: st.lists(st.floats(-50, 50, width=32), min_size=size, max_size=size).map(np.array)
)


class Kept(Optimizer):
    """Keeps the gradient that it was given."""

    def coefficients(self, step):
        return {}

    def update(self, theta, dtheta):
        self.given = dtheta


@given(vectors, limits, dtypes)
def test_clip_by_norm_keeps_the_limit_and_the_direction(g, limit, dtype):
    g, inner = g.astype(dtype), Kept(1.0)
    ClipByNorm(inner, limit).step(np.zeros_like(g), g)
    norm, eps = float(np.linalg.norm(g.astype(np.float64))), float(np.finfo(dtype).eps)
    assert inner.given.dtype == dtype
    assert np.linalg.norm(inner.given.astype(np.float64)) <= limit * (1 + 2 * eps)
    if norm < limit - 1e-6:
        assert np.array_equal(inner.given, g)
    else:
        np.testing.assert_allclose(inner.given, g * (limit / (norm + 1e-6)), rtol=4 * eps)


@given(vectors, limits, dtypes)
def test_clip_by_value_clips_every_number_to_its_limit(g, limit, dtype):
    g, inner = g.astype(dtype), Kept(1.0)
    ClipByValue(inner, limit).step(np.zeros_like(g), g)
    assert inner.given.dtype == dtype
    assert np.array_equal(inner.given, np.clip(g, -dtype(limit), dtype(limit)))


def test_clip_by_norm_takes_a_norm_whose_square_overflows_float32():
    theta = np.zeros(3, np.float32)
    ClipByNorm(SGD(1.0), 1.0).step(theta, np.full(3, 1e30, np.float32))
    np.testing.assert_allclose(theta, -(3**-0.5), rtol=1e-6)


@given(st.data())
def test_a_parameter_average_is_a_sum_with_fading_weights(data):
    optimizer, theta, gradients = drawn(data, ParameterAverage)
    seen, d, start = [], optimizer.decay, theta.copy()
    for g in gradients:
        optimizer.step(theta, g)
        seen.append(theta.astype(np.float64))
    weights = [d**k * (1 if k == len(seen) - 1 else 1 - d) for k in reversed(range(len(seen)))]
    expected = sum((w * s for w, s in zip(weights, seen, strict=True)), np.zeros(len(theta))) if seen else start
    before = theta.copy()
    with optimizer.applied(theta):
        np.testing.assert_allclose(theta, expected, rtol=1e-5, atol=1e-5)
    assert np.array_equal(theta, before)


@given(st.data())
def test_a_parameter_average_takes_the_steps_of_what_it_wraps(data):
    optimizer, theta, gradients = drawn(data, ParameterAverage)
    assert np.array_equal(run(fresh(optimizer).optimizer, theta, gradients), run(optimizer, theta, gradients))


def test_a_parameter_average_is_taken_away_when_its_block_fails():
    optimizer, theta = ParameterAverage(SGD(0.5), 0.9), np.ones(2)
    for _ in range(3):
        optimizer.step(theta, theta)
    before = theta.copy()
    with pytest.raises(KeyError), optimizer.applied(theta):
        assert (theta > before).all()
        raise KeyError
    assert np.array_equal(theta, before)
    with pytest.raises(ValueError, match="every model needs an optimizer of its own"), optimizer.applied(np.ones(3)):
        pass


def test_an_average_of_an_average_is_refused():
    for averaging in (ParameterAverage(SGD(0.1), 0.9), ClipByNorm(ParameterAverage(SGD(0.1), 0.9), 1.0)):
        with pytest.raises(ValueError, match=r"ParameterAverage\(.*keeps an average of θ already"):
            ParameterAverage(averaging, 0.99)


def test_an_optimizer_with_a_step_of_its_own_is_not_wrapped():
    class Odd(Optimizer):
        def step(self, theta, dtheta):
            theta -= dtheta

    with pytest.raises(ValueError, match="a step of its own; ClipByNorm changes what an optimizer does in update"):
        ClipByNorm(Odd(0.1), 1.0)


def test_two_threads_may_ask_nadam_for_its_product_at_once():
    class Interrupted(float):
        asked = False

        def __rmul__(self, other):
            if not self.asked:
                self.asked = True
                NAdam(beta1=0.8).coefficients(3)  # as a training in another thread does in between
            return other * float(self)

    alone = NAdam(beta1=0.8).coefficients(5)
    adam_relatives._products.cache_clear()
    assert NAdam(beta1=Interrupted(0.8)).coefficients(5) == alone == NAdam(beta1=0.8).coefficients(5)
