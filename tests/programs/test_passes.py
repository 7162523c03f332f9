"""Every pass leaves the values of a program as they are, bit for bit; and each takes away what it is for."""

import itertools

import numpy as np
import pytest
from hypothesis import event, given
from test_writers import another, random_steps

from minigrad import SGD, Dense, Layer, MeanSquaredError, Objective, Sequential
from minigrad.programs import Copy, Elementwise, TraceError
from minigrad.programs.ir.verification import differences, outcome
from minigrad.programs.passes import PASSES, optimized
from minigrad.programs.passes.buffers import lay_out
from minigrad.programs.tracing.steps import Step, set_coefficients
from minigrad.programs.tracing.tracer import record_on_copies


def traced(step):
    """The program of a step as it was traced, before any pass."""
    copies, program = record_on_copies(step, step.undeclared(), any_code=False)
    set_coefficients(copies.work.optimizer, copies.work.coefficients)
    return program


@given(step=random_steps())
def test_a_pass_leaves_the_values_of_any_program(step):
    try:
        program = traced(step)
    except TraceError:
        event("not traced")
        return
    batch = another(step)
    expected = outcome(program, batch)
    for each in PASSES:
        shorter = each(program)
        assert len(shorter.ops) <= len(program.ops)
        assert differences("same bits", expected, outcome(shorter, batch)) == [], each.__name__
        event(f"{each.__name__}: {'shorter' if len(shorter.ops) < len(program.ops) else 'as it was'}")
        program = shorter
    assert [op.function for op in optimized(program).ops] == [op.function for op in program.ops], (
        "nothing is left to do"
    )


@given(step=random_steps())
def test_memory_is_used_again_only_when_its_last_reader_is_past(step):
    try:
        program = optimized(traced(step))
    except TraceError:
        return
    starts, lives, places = lay_out(program).starts, {}, {}
    for number, op in enumerate(program.ops):
        for view in (*op.reads, *op.writes):
            if view.memory in starts:
                first, _ = lives.get(view.memory, (number, number))
                lives[view.memory] = first, number
                size = view.value.whole.extent * view.dtype.itemsize
                places[view.memory] = starts[view.memory], starts[view.memory] + size
    for one, two in itertools.combinations(lives, 2):
        (begin, end), (start, stop) = places[one], places[two]
        if begin < stop and start < end:  # an elementwise op may overwrite what it is the last to read
            assert lives[one][1] <= lives[two][0] or lives[two][1] <= lives[one][0]


class Wordy(Layer):
    """y = x, written with something for each pass to take away"""

    traceable = True

    def forward(self, x):
        self.unused = np.exp(x)
        y = (np.tanh(x) - np.tanh(x)) / 1
        z = np.empty_like(x)
        z[...] = x + y
        return z

    def backward(self, dy):
        return dy

    def output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize(
    ("number", "gone"),
    [
        (0, lambda ops: [op for op in ops if op.function is np.divide and op.inputs[1:] == (1,)]),
        (1, lambda ops: [op for op in ops if op.function is np.tanh][1:]),
        (2, lambda ops: [op for op in ops if isinstance(op, Copy) and op.scope.verb == "forward"]),
        (3, lambda ops: [op for op in ops if isinstance(op, Elementwise) and op.function is np.exp]),
    ],
    ids=[each.__name__ for each in PASSES],
)
def test_each_pass_takes_away_what_it_is_for(number, gone):
    model = Sequential([Wordy(), Dense(3, 2)], seed=0)
    program = traced(Step(Objective(model, MeanSquaredError()), SGD(0.1), np.ones((4, 3), "f"), np.ones((4, 2), "f")))
    for each in PASSES[:number]:
        program = each(program)
    assert gone(program.ops) and not gone(PASSES[number](program).ops)
