"""Schedules: their first rate, their last, what they never leave; test_parity.py has them step by step."""

import math
import pickle

import pytest
from hypothesis import given, strategies as st

from minigrad import SGD, ClipByNorm, schedules
from minigrad.saving.settings import in_words
from minigrad.schedules import (
    ReduceOnPlateau,
    Schedule,
    cosine,
    exponential,
    inverse_time,
    one_cycle,
    step,
    warm_restarts,
    warmup,
)

rates = st.floats(1e-4, 10)
counts = st.integers(2, 200)
shares = st.floats(0.1, 0.9)
minima = st.floats(0, 1e-4)
plain = {
    step: st.builds(step, rates, counts, shares),
    exponential: st.builds(exponential, rates, shares),
    inverse_time: st.builds(inverse_time, rates, st.floats(0, 5)),
    cosine: st.builds(cosine, rates, counts, minima),
    warm_restarts: st.builds(warm_restarts, rates, counts, st.integers(1, 3), minima),
    one_cycle: st.builds(one_cycle, rates, st.integers(30, 200), st.floats(0.1, 0.9)),
}
TABLE = plain | {warmup: st.builds(warmup, counts, st.one_of(rates, *plain.values()))}
steps = st.integers(0, 1000)
every_schedule = pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)


def highest(schedule):
    after = getattr(schedule, "schedule", schedule)
    return after.learning_rate if isinstance(after, Schedule) else after


def test_every_schedule_has_a_row():
    assert set(Schedule.__subclasses__()) ^ set(TABLE) == set(), "give it a row in TABLE: how it is drawn"


@every_schedule
@given(st.data())
def test_a_schedule_gives_a_float_between_0_and_its_highest_rate(kind, data):
    schedule, k = data.draw(TABLE[kind]), data.draw(steps)
    assert type(schedule(k)) is float
    assert 0 <= schedule(k) <= highest(schedule) * (1 + 1e-12)


@every_schedule
@given(st.data())
def test_the_repr_of_a_schedule_tells_it_from_others(kind, data):
    one, other, k = data.draw(TABLE[kind]), data.draw(TABLE[kind]), data.draw(steps)
    again = eval(repr(one), vars(schedules))
    assert repr(again) == repr(one) and again(k) == one(k) == pickle.loads(pickle.dumps(one))(k)
    assert (in_words(one) == in_words(other)) == (repr(one) == repr(other))
    assert repr(SGD(one)) == f"SGD(learning_rate={one!r})"


@given(rates, counts, shares)
def test_step_and_exponential(rate, n, gamma):
    assert step(rate, n, gamma)(0) == step(rate, n, gamma)(n - 1) == exponential(rate, gamma)(0) == rate
    assert step(rate, n, gamma)(2 * n) == pytest.approx(exponential(rate, gamma)(2))


@given(rates, counts)
def test_inverse_time_is_half_after_one_over_the_decay(rate, n):
    assert inverse_time(rate, 1 / n)(0) == rate
    assert inverse_time(rate, 1 / n)(n) == pytest.approx(rate / 2)


@given(rates, counts, minima, steps)
def test_cosine_falls_to_its_minimum_and_stays(rate, n, minimum, k):
    schedule = cosine(rate, n, minimum)
    assert schedule(0) == pytest.approx(rate)
    assert schedule(n + k) == pytest.approx(minimum, abs=1e-16)
    assert schedule(k + 1) <= schedule(k)
    assert cosine(rate, 2 * n, minimum)(n) == pytest.approx((rate + minimum) / 2)


@given(rates, counts, st.integers(1, 3), minima, steps)
def test_cosine_warm_restarts_are_cosines_one_after_the_other(rate, n, factor, minimum, k):
    schedule, start, length = warm_restarts(rate, n, factor, minimum), 0, n
    for _ in range(4):
        j = k % length
        assert schedule(start + j) == pytest.approx(cosine(rate, length, minimum)(j))
        start, length = start + length, length * factor


@given(rates, st.integers(3, 20), st.integers(2, 20))
def test_one_cycle_rises_and_falls(rate, tenths, steps_after):
    n = 10 * tenths
    schedule = one_cycle(rate, n)
    top = 3 * tenths - 1
    assert schedule(0) == pytest.approx(rate / 25)
    assert schedule(top) == pytest.approx(rate)
    assert schedule(n - 1) == schedule(n + steps_after) == pytest.approx(rate / 25e4)
    values = [schedule(k) for k in range(n)]
    assert values[: top + 1] == sorted(values[: top + 1]) and values[top:] == sorted(values[top:], reverse=True)


@given(counts, st.one_of(*plain.values()), steps)
def test_warmup_rises_in_equal_parts_to_what_follows(n, schedule, k):
    warm = warmup(n, schedule)
    first = schedule(0) / (n + 1)
    assert [warm(j) for j in range(n)] == pytest.approx([first * (j + 1) for j in range(n)])
    assert warm(n + k) == schedule(k)
    assert warmup(n, 0.5)(n + k) == 0.5
    assert warmup(n, lambda k: 1 / (k + 1))(n + k) == 1 / (k + 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: step(-0.1, 10), "step: learning_rate=-0.1 must be finite and above 0"),
        (lambda: step(0.1, 0), "step: step_size=0"),
        (lambda: exponential(0.1, math.inf), "exponential: gamma=inf"),
        (lambda: inverse_time(0.1, -1), "inverse_time: decay=-1 must be finite and not negative"),
        (lambda: cosine(0.1, 0), "cosine: steps=0"),
        (lambda: cosine(0.1, 10, -1), "cosine: minimum=-1"),
        (lambda: warm_restarts(0.1, 10, 0), "warm_restarts: factor=0"),
        (lambda: one_cycle(0.1, 3), "one_cycle: rise=0.3 of 3 steps"),
        (lambda: one_cycle(0.1, 100, 1.0), "one_cycle: rise=1.0 of 100 steps"),
        (lambda: warmup(0, 0.1), "warmup: steps=0"),
        (lambda: warmup(3, math.nan), "warmup: schedule=nan"),
        (lambda: ReduceOnPlateau(SGD(cosine(0.1, 5))), "has a schedule already"),
        (lambda: ReduceOnPlateau(SGD(0.1), factor=1.0), "factor=1.0 does not reduce"),
        (lambda: ReduceOnPlateau(SGD(0.1), patience=-1), "patience=-1"),
    ],
)
def test_wrong_arguments_of_a_schedule_are_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@given(st.integers(0, 5), shares)
def test_a_plateau_reduces_the_rate_after_its_patience(patience, factor):
    optimizer = ClipByNorm(SGD(0.5), 1.0)
    plateau = ReduceOnPlateau(optimizer, factor, patience, minimum=0.3)
    seen = []
    for loss in [2.0, 1.0] + (2 * patience + 2) * [math.nan] + [0.5]:
        plateau.update(loss)
        seen.append(optimizer.learning_rate)
    once = max(0.5 * factor, 0.3)
    assert seen == [0.5] * (2 + patience) + [once] * (patience + 1) + 2 * [max(once * factor, 0.3)]
