"""One trial for all writers: what a program leaves, written by each of them, is what the interpreter says it leaves."""

import copy
import itertools
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import quickjs
from formulas import recalculated
from hypothesis import event, given, settings, strategies as st
from test_program import trainings

from minigrad import (
    SGD,
    Adam,
    CategoricalCrossEntropy,
    Dense,
    Dropout,
    Layer,
    MeanSquaredError,
    Objective,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    parameter,
    state,
)
from minigrad.programs import StepProgram, TraceError, Unwritable, backends, equation, interpret, version_name
from minigrad.programs.backends import javascript, numpy_file, numpy_source, spreadsheet as sheet
from minigrad.programs.graph.building import graph_of
from minigrad.programs.graph.notation import Notation
from minigrad.programs.graph.numbers import FUNCTIONS
from minigrad.programs.graph.simplification import plain
from minigrad.programs.ir.ops import Copy, Elementwise, Opaque
from minigrad.programs.ir.verification import differences, outcome
from minigrad.programs.native import executable as native
from minigrad.programs.tracing.steps import Step, set_coefficients

FEATURES = 4
STATEMENTS = [
    "y = y * 2.0",
    "y = y + self.W[0]",
    "y = y @ self.W",
    "y = np.exp(-np.square(y))",
    "y = np.where(y > 0, y, 0.5 * y)",
    "y = np.maximum(y, -y)",
    "y = y - y.max(axis=1, keepdims=True)",
    "y = y / (1 + np.abs(y).sum(axis=-1, keepdims=True))",
    "y = y.mean(axis=0) + y",
    "y = y[:, ::-1]",
    "y = y[:, ::-1] @ self.W",
    "y = y[:, [1, 0, 3, 2]]",
    "y = np.concatenate([y[:, 2:], y[:, :2]], axis=1)",
    "y = np.cumsum(y, axis=1)",
    "y = (y.T * 3).T",
    "y = y.reshape(-1, 2, 2).transpose(0, 2, 1).reshape(-1, 4)",
    "z = y * 1; z[:, 0] = 2 * z[:, 1]; y = z",
    "z = y * 1; z[:, 1:] += z[:, :-1]; y = z",
    "z = y * 1; np.add.at(z, (slice(None), [0, 0]), 1.0); y = z",
    "z = np.zeros_like(y); z[:, [2, 3]] = y[:, :2]; y = z",
    "z = np.empty_like(y); z[...] = 2 * y; z[0] = 0; y = z",
    "z = y * 1; np.matmul(y, self.W, out=z); y = z",
    "y = y.copy(); y[:, :2] -= y[:, 2:]; y[:, 2:] += y[:, :2]",
    "self.n = self.n + 1; y = y * self.n",
    "y = y + self.rng.normal(size=y.shape)",
    "y = y * self.scale",
]


class Statements(Layer):
    """Random statements as forward; backward only has to be recorded, not to be right."""

    traceable = True

    W, dW = parameter()
    n, rng = state(), state()

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.W = np.linspace(-1, 1, FEATURES**2).reshape(FEATURES, FEATURES)
        self.n, self.rng = np.zeros(()), np.random.default_rng(0)
        self.scale = np.linspace(0.5, 1.5, FEATURES, dtype=np.float32)

    def run(self, statements, y):
        names = {"self": self, "np": np, "y": y}
        exec("\n".join(statements), names)
        return names["y"]

    def forward(self, x):
        self.x = x
        return self.run(self.first, x)

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return self.run(self.second, dy)


@st.composite
def random_steps(draw):
    some = st.lists(st.sampled_from(STATEMENTS), max_size=5)
    layer = Statements(draw(some), draw(some))
    layers = [Dense(3, FEATURES), layer, Tanh(), Dense(FEATURES, 2)]
    model = Sequential(layers, draw(st.sampled_from([np.float32, np.float64])), seed=1)
    rng, rows = np.random.default_rng(draw(st.integers(0, 9))), draw(st.integers(1, 6))
    x, t = (rng.normal(size=(rows, n)).astype(model.dtype) for n in (3, 2))
    optimizer = draw(st.sampled_from([SGD(0.1), SGD(0.1, momentum=0.9), Adam()]))
    return Step(Objective(model, MeanSquaredError(), draw(st.sampled_from([0.0, 0.1]))), copy.deepcopy(optimizer), x, t)


def recorded(step):
    """The program of a step; None where only the plain path is right."""
    try:
        program = StepProgram(step)
    except TraceError:
        return None
    set_coefficients(step.optimizer, step.coefficients)
    return program


def another(step):
    """A batch like the one that the step was recorded with."""
    return tuple(array + array.dtype.type(0.25) for array in step.inputs)


def run_source(program, batch, folder):
    code = numpy_source.write(program)
    for value, array in zip(program.inputs, batch, strict=True):
        program.given[value][...] = array
    result = code.function()
    names = {value: program.names[value.whole.place] for value in program.lasting}
    return {name: program.homes[value.memory] for value, name in names.items()} | {"the result": np.array(result)}


def run_file(program, batch, folder):
    numpy_file.write(program, numpy_source.write(program), folder / "step.py", "A step.")
    names = [program.names[value.whole.place] for value in program.lasting]
    places = [program.names[value.whole.place] for value in program.inputs]
    namespace = {"__file__": str(folder / "step.py")}
    exec((folder / "step.py").read_text(encoding="utf-8"), namespace)
    for name, array in zip(places, batch, strict=True):
        namespace[name][...] = array
    return {"the result": np.array(namespace["step"]()), **{name: namespace[name] for name in names}}


def run_native(program, batch, folder):
    tables = native.write(program)
    for value, array in zip(program.inputs, batch, strict=True):
        program.given[value][...] = array
    result = np.array(tables.function())
    return {program.names[v.whole.place]: program.homes[v.memory] for v in program.lasting} | {"the result": result}


def run_javascript(program, batch, folder):
    context = quickjs.Context()
    context.eval(javascript.write(program))
    for name, array in graph_of(program).numbers(interpret(program, batch)).items():
        context.eval(f"program.set({json.dumps(name)}, [{', '.join(as_text(n) for n in array.ravel())}])")
    context.eval("program.compute()")
    found = {}
    for name, array in outcome(program, batch).items():
        text = context.eval(f"program.numbers({json.dumps(name)}).map(String).join(' ')")
        found[name] = np.array([float(n) for n in text.split()]).reshape(array.shape)
    return found


def as_text(number):
    """A number of JavaScript."""
    return repr(float(number)).replace("inf", "Infinity").replace("nan", "NaN")


def run_sheet(program, batch, folder):
    for value, array in zip(program.inputs, batch, strict=True):
        program.given[value][...] = array
    grid = sheet.write(program)
    values = recalculated(grid.numbers, grid.formulas)
    shapes = {name: array.shape for name, array in outcome(program, batch).items()}
    found = {name: np.array([values[cell] for cell in cells]) for name, cells in grid.cells.items()}
    return {name: array.reshape(shapes[name]) for name, array in found.items()}


WAYS = {
    numpy_source: run_source,
    numpy_file: run_file,
    native: run_native,
    javascript: run_javascript,
    sheet: run_sheet,
}
IN_FLOAT64 = (javascript, sheet)


def doubled(step):
    """The same step in float64, the one dtype that pages and sheets have."""
    objective = copy.deepcopy(step.objective)
    model = objective.model
    model._pack(np.float64)
    x, t = (array.astype(np.float64) for array in (step.x, step.t))
    optimizer = copy.deepcopy(step.optimizer)
    for part, name in optimizer.slots():
        vars(part)[name] = vars(part)[name].astype(np.float64)
    return Step(Objective(model, objective.given, objective.l2, objective.l1), optimizer, x, t)


def test_every_writer_is_tried_here():
    found = {name for _, name, _ in pkgutil.iter_modules(backends.__path__)} | {"executable"}
    tried = {writer.__name__.rsplit(".", 1)[1] for writer in WAYS}
    assert found == tried, "give WAYS a function that runs what the new writer writes"


def compare(writer, program, batch, folder):
    expected = outcome(program, batch)
    try:
        found = WAYS[writer](program, batch, folder)
    except Unwritable as refusal:
        event(f"{writer.__name__}: refused")
        assert refusal.line in program.lines and str(refusal).endswith(refusal.why)
        return
    event(f"{writer.__name__}: written")
    assert differences(writer.PROMISE, expected, found) == []


def compare_all(step, folder, other=0.0):
    """What each writer writes of the step, for its batch and `other`; whether it was recorded at all."""
    for each, ways in ((step, [way for way in WAYS if way not in IN_FLOAT64]), (doubled(step), IN_FLOAT64)):
        program = recorded(each)
        if program is None:
            return False
        batch = tuple(program.given[value] + value.dtype.type(other) for value in program.inputs)
        for writer in ways:
            compare(writer, program, batch, folder)
    return True


@given(step=random_steps())
def test_a_random_program_as_written_is_the_program_as_interpreted(step, tmp_path_factory):
    event(f"recorded: {compare_all(step, tmp_path_factory.mktemp('written'), 0.25)}")


@given(training=trainings())
@settings(max_examples=settings.default.max_examples // 2)
def test_a_network_as_written_is_the_network_as_interpreted(training, tmp_path_factory):
    model, optimizer, x, _, options = training
    objective = Objective(model, options["loss"], options["l2"], options["l1"])
    outputs = model.output_shape(x.shape[1:])
    rng = np.random.default_rng(0)
    targets = np.eye(outputs[0])[rng.integers(0, outputs[0], len(x))] if outputs else rng.random(len(x))
    step = Step(objective, optimizer(), model.admit(x), targets.astype(model.dtype))
    assert compare_all(step, tmp_path_factory.mktemp("n"))


@given(step=random_steps())
def test_the_interpreter_leaves_everything_as_it_was_and_equals_the_plain_step(step):
    program, batch = recorded(step), another(step)
    if program is None:
        return
    before = [array.copy() for array in (step.model.theta, step.model.dtheta, *step.inputs)]
    counted, drawn = step.model[1].n, copy.deepcopy(step.model[1].rng)
    named = [program.interpret(batch) for _ in range(2)]
    opaque = any(isinstance(line, Opaque) for line in program.lines)
    if not opaque:
        assert step.model[1].n is counted and step.model[1].rng.bit_generator.state == drawn.bit_generator.state
        for name, array in named[0].items():
            np.testing.assert_array_equal(array, named[1][name])
    for array, kept in zip((step.model.theta, step.model.dtheta, *step.inputs), before, strict=True):
        np.testing.assert_array_equal(array, kept)
    if not opaque:
        for place, array in zip(step.inputs, batch, strict=True):
            place[...] = array
        value = step.plain()
        np.testing.assert_array_equal(named[0]["theta_new"], step.model.theta)
        np.testing.assert_array_equal(named[0]["dtheta"], step.model.dtheta)
        assert float(named[0]["loss"]) == value


def test_names_of_what_a_step_changes():
    model = Sequential([Dense(3, 2, seed=0), Tanh(), Dense(2, 1, seed=1)], np.float64)
    program = model.program(MeanSquaredError(), Adam(0.1), batch_size=5)
    rng = np.random.default_rng(0)
    named = program.interpret((rng.normal(size=(5, 3)), rng.normal(size=(5, 1))))
    assert {"x", "t", "W1", "b1", "W2", "b2", "z1", "a1", "z2", "dz2", "dW2", "db2", "da1", "dz1", "dW1"} <= set(named)
    assert {"W1_new", "theta_new", "m_new", "v_new", "loss", "eta"} <= set(named)
    assert "x_new" not in named and "dW1_new" not in named and "z1_new" not in named
    np.testing.assert_array_equal(named["z1"], named["x"] @ named["W1"] + named["b1"])
    np.testing.assert_array_equal(named["dW1"], named["x"].T @ named["dz1"])
    np.testing.assert_array_equal(named["W1_new"].ravel(), named["theta_new"][:6])
    np.testing.assert_array_equal(named["W1"], model[0].W)
    assert np.any(named["W1_new"] != named["W1"]) and not named["m"].any() and named["m_new"].any()


def test_formulas_name_versions():
    program = Sequential([Dense(3, 2), Tanh()], seed=0).program(MeanSquaredError(), Adam(), batch_size=5, l2=0.1)
    name = version_name(program)
    formulas = [equation(line, name) for line in program.lines]
    assigned = [formula.split(" = ")[0] for formula in formulas]
    assert len(set(assigned)) == len(assigned), "each name is assigned once"
    assert formulas[0] == "v1 = x @ W1" and formulas[-1].startswith("theta_new = theta - ")
    assert any(formula.startswith("m_new = m_1 + ") for formula in formulas)
    assert "dW1" in assigned and "db1" in assigned


def test_every_value_is_assigned_once():
    layers = [Dense(3, 4), Dropout(0.5, seed=0), Statements(["z = y * 1", "z[:, 0] = 1", "z += 1", "y = z"], [])]
    program = StepProgram(
        Step(
            Objective(Sequential(layers, seed=0), MeanSquaredError()),
            Adam(),
            np.ones((5, 3), "f"),
            np.ones((5, 4), "f"),
        )
    )
    known = set(program.given)
    for line in program.lines:
        assert all(view.value in known for view in line.reads), "what is read has been made"
        for view in line.writes:
            assert view.value not in known, "nothing is made twice"
            assert view.value.follows is None or view.value.follows in known
            known.add(view.value)
    assert set(program.values) == known
    assert [value.number for value in program.values] == sorted({value.number for value in program.values})
    assert any(isinstance(line, Copy) for line in program.lines)
    assert sum(isinstance(line, Elementwise) for line in program.lines) > 20


def test_a_batch_of_other_shapes_is_refused():
    program = Sequential([Dense(3, 2)], seed=0).program(MeanSquaredError(), SGD(0.1), batch_size=4)
    for batch in [(np.ones((4, 3)),), (np.ones((5, 3)), np.ones((5, 2))), (np.ones((4, 3)),) * 3]:
        with pytest.raises(ValueError, match=r"a batch of 2 arrays of the shapes \(4, 3\), \(4, 2\)"):
            interpret(program, batch)


def test_a_file_refuses_code_of_ones_own_by_name(tmp_path):
    class Deciding(Layer):
        def forward(self, x):
            return x * 2 if x.mean() > 0 else x

        def backward(self, dy):
            return dy

    program = Sequential([Dense(3, 2), Deciding()], seed=0).program(MeanSquaredError(), SGD(0.1), batch_size=4)
    with pytest.raises(Unwritable, match=r"Deciding\.forward, in forward of Deciding\(\): it is code that can't"):
        program.save(tmp_path / "step.py")
    assert list(tmp_path.iterdir()) == []


def test_the_form_can_be_had_without_training(tmp_path):
    script = "import minigrad.programs as p; print(p.Elementwise.__name__, p.interpret.__name__, p.writers.__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.split() == ["Elementwise", "interpret", "minigrad.programs.writers"], done.stderr


def test_what_has_no_formula_is_refused_by_name():
    layers = [Dense(3, FEATURES), Statements(["y = np.cumsum(y, axis=1)"], []), Dense(FEATURES, 2)]
    model = Sequential(layers, np.float64, seed=0)
    step = Step(Objective(model, MeanSquaredError()), SGD(0.1), np.ones((2, 3)), np.ones((2, 2)))
    program = recorded(step)
    with pytest.raises(Unwritable, match=r"add\.accumulate|cumsum.*in forward of Statements.*no formula for"):
        javascript.write(program)
    single = Sequential([Dense(3, 2)], seed=0).program(MeanSquaredError(), SGD(0.1), batch_size=2)
    with pytest.raises(Unwritable, match=r"matmul, in forward of Dense\(3, 2\): it computes in float32"):
        sheet.write(single)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_in_javascript_is_numpy_s(name):
    numbers = [-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0]
    if name != "power":  # of 1 and what is not finite, JavaScript makes NaN
        numbers += [np.inf, -np.inf, np.nan]
    formula, context = javascript.FORMULAS[name], quickjs.Context()
    context.eval(javascript.runtime())
    with np.errstate(all="ignore"):
        for operands in itertools.product(numbers, repeat=max(1, formula.count("{}"))):
            found = context.eval(f"Number({formula.format(*(f'({as_text(number)})' for number in operands))})")
            expected = float(FUNCTIONS[name](*map(np.float64, operands)))
            np.testing.assert_allclose(float(found), expected, rtol=4e-15, err_msg=str(operands))


def test_javascript_has_a_loop_for_each_array_and_allocates_nothing():
    model = Sequential([Dense(2, 16, seed=0), Tanh(), Dense(16, 1, seed=1)], np.float64)
    source = javascript.operations(graph_of(model.program(MeanSquaredError(), Adam(), batch_size=500)))
    assert re.search(
        r"""// a1
  for \(let i0 = 0; i0 < 500; i0\+\+\) \{
    for \(let i1 = 0; i1 < 16; i1\+\+\) \{
      row\[\d+ \+ 16 \* i0 \+ i1\] = Math\.tanh\(row\[\d+ \+ 16 \* i0 \+ i1\]\);
    \}
  \}
\},""",
        source,
    )
    assert not re.search(r"new |Array|push|listed\[", source), "a step would allocate, or go through a table of places"


def test_formulas_are_ordinary_ones_that_can_be_read():
    model = Sequential([Dense(2, 2, seed=0), Tanh(), Dense(2, 1, seed=1)], np.float64)
    grid = sheet.write(model.program(MeanSquaredError(), SGD(0.1), batch_size=2))
    formulas = list(grid.formulas.values())
    assert formulas[0] == "A1*A7+B1*A8+A10" and "TANH(A19)" in formulas
    assert all(set("{}[]") & set(formula) == set() for formula in formulas)


def test_the_textbook_s_equations():
    model = Sequential([Dense(2, 2, seed=0), Sigmoid(), Dense(2, 3, seed=1), Softmax()], np.float64)
    program = model.program(CategoricalCrossEntropy(), SGD(0.1, momentum=0.9), batch_size=4, l2=0.1)
    notation = Notation(plain(graph_of(program)))
    found = [notation.equation(node) for node in notation.blocks if not node.is_given]
    assert {
        "z₁ = x W₁ + b₁",
        "a₁ = 1 / (1 + exp(−z₁))",
        "e = exp(z₂ − max z₂)",
        "l = −t ⊙ (z₂ − max z₂ − log(s))",
        "dW₂ = a₁ᵀ dz₂ + 0.1 · W₂",
        "db₂ = Σ_rows dz₂",
        "da₁ = dz₂ W₂ᵀ",
        "dz₁ = da₁ ⊙ a₁ ⊙ (1 − a₁)",
        "v(W₁)′ = v(W₁) μ + dW₁",
        "W₁′ = W₁ − η v(W₁)′",
    } <= set(found)


def test_a_product_that_dot_refuses_is_left_to_matmul():
    """The result lies backwards in memory, as `np.dot` writes none."""
    layer = Statements(["z = y * 1", "np.matmul(y, self.W, out=z[:, ::-1])", "y = z"], [])
    objective = Objective(Sequential([Dense(3, FEATURES), layer], seed=0), MeanSquaredError())
    step = Step(objective, SGD(0.1), np.ones((5, 3), "f"), np.ones((5, FEATURES), "f"))
    program = recorded(step)
    assert "matmul(" in numpy_source.write(program).source
    batch = another(step)
    expected = outcome(program, batch)
    assert differences("same bits", expected, run_source(program, batch, None)) == []
