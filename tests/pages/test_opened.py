"""A step laid open: page and workbook equal the layers' own steps, in real engines, after edits too."""

import copy
import json

import numpy as np
import pytest
from engines import area, in_browser, in_quickjs, recalculated, told, values

from minigrad import (
    SGD,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Layer,
    MeanSquaredError,
    Objective,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minigrad.command.main import main
from minigrad.data import load_digits
from minigrad.pages import OpenedError

RNG = np.random.default_rng(0)
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
FLOWERS, KINDS = RNG.normal(size=(6, 4)).round(2), np.eye(3)[[0, 1, 2, 0, 1, 2]]
STEPS = 20
FEW = {"digits": 1, "iris": 3, "regression": 3, "penalty": 3}
"""Steps in a workbook of these: of XOR as many as it has where nothing is said."""


def network(*layers, seed=1):
    return Sequential(layers, dtype=np.float64, seed=seed)


def digits(every=1):
    """Four digits, each with all of 400 pixels, or every so many."""
    x, labels = load_digits()
    rows = [0, 1000, 2000, 4000]
    return x[rows, ::every].astype(float), np.eye(10)[labels[rows] - 1]


CASES = {
    "xor": lambda: (network(Dense(2, 3), Tanh(), Dense(3, 1), Sigmoid(), seed=15), BinaryCrossEntropy(), SGD(2.0), X,
                    X[:, :1] != X[:, 1:], 0.0),
    "iris": lambda: (network(Dense(4, 5), ReLU(), Dense(5, 3), Softmax()), CategoricalCrossEntropy(), Adam(0.05),
                     FLOWERS, KINDS, 0.0),
    "regression": lambda: (network(Dense(2, 3), Tanh(), Dense(3, 1)), MeanSquaredError(), SGD(0.05, momentum=0.9), X,
                           X.sum(axis=1, keepdims=True) / 2, 0.0),
    "penalty": lambda: (network(Dense(4, 5), Tanh(), Dense(5, 3), Softmax()), CategoricalCrossEntropy(), AdamW(0.05),
                        FLOWERS, KINDS, 0.01),
    "digits": lambda: (network(Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()), BinaryCrossEntropy(), SGD(0.5),
                       *digits(), 0.0),
}  # fmt: skip
IN_A_WORKBOOK = CASES | {
    "digits": lambda: (network(Dense(50, 8), Sigmoid(), Dense(8, 10), Sigmoid()), BinaryCrossEntropy(), SGD(0.5),
                       *digits(8), 0.0),
}  # fmt: skip
"""Of the digits fewer pixels: a sheet of 30,000 formulas takes long to write and read, and has no others."""


def trained(model, loss, optimizer, x, t, l2, steps=STEPS):
    """[(loss, {name: gradient}, {name: new weights})] of so many steps of the layers themselves."""
    model, optimizer, found = copy.deepcopy(model), copy.deepcopy(optimizer), []
    objective = Objective(model, loss, l2)
    dense = [layer for layer in model.chain() if layer.params]
    for _ in range(steps):
        value = objective.gradient(x, np.asarray(t, float))
        gradients = {f"d{k}{n}": g.copy() for n, layer in enumerate(dense, 1) for k, g in layer.grads.items()}
        optimizer.step(model.theta, model.dtheta)
        new = {f"{k}{n}": w.copy() for n, layer in enumerate(dense, 1) for k, w in layer.params.items()}
        found.append((value, gradients, new))
    return found


def assert_close(found, expected):
    np.testing.assert_allclose(np.ravel(found), np.ravel(expected), rtol=1e-12, atol=1e-12)


def page_of(folder, name):
    model, loss, optimizer, x, t, l2 = CASES[name]()
    path = folder / "step.html"
    model.lay_open(x, t, loss, optimizer, l2=l2).save(path)
    return path.read_text(encoding="utf-8")


ASK = """(() => { const found = [];
  for (let k = 0; k < 20; k++) { const l = window.minigrad.loss, g = NAMES.map(n => window.minigrad.numbers("d" + n));
    window.minigrad.step(1); found.push([l, g, NAMES.map(n => window.minigrad.numbers(n))]); } return found; })()"""


def names_of(model):
    return [f"{k}{n}" for n, layer in enumerate([la for la in model.chain() if la.params], 1) for k in layer.params]


def check_page(asked, model, loss, optimizer, x, t, l2):
    names = names_of(model)
    expected = trained(model, loss, optimizer, x, t, l2)
    for (value, gradients, new), (found, slopes, weights) in zip(expected, asked, strict=True):
        assert_close(found, value)
        for place, each in enumerate(names):
            assert_close(slopes[place], gradients[f"d{each}"])
            assert_close(weights[place], new[each])


@pytest.mark.parametrize("name", CASES)
def test_a_page_makes_the_layers_own_steps(name, tmp_path):
    case = CASES[name]()
    ask = ASK.replace("NAMES", json.dumps(names_of(case[0])))
    check_page(in_quickjs(page_of(tmp_path, name), ask), *case)


def test_pages_make_them_in_a_browser_after_edits_too(tmp_path):
    edits = "minigrad.set('W1', 1, 1, 0.25); minigrad.set('x', 0, 1, 0.5); minigrad.set('eta', 0, 0, 0.125); "
    asked, edited = [], []
    for name in CASES:
        model, loss, optimizer, x, *rest = CASES[name]()
        code = edits if "Adam" not in repr(optimizer) else edits.replace("eta", "learning_rate")
        asked.append((page_of(tmp_path, name), f"{code} return {ASK.replace('NAMES', json.dumps(names_of(model)))}"))
        x = x.copy()
        model[0].W[1, 1], x[0, 1], optimizer.learning_rate = 0.25, 0.5, 0.125
        edited.append((model, loss, optimizer, x, *rest))
    for name, found, case in zip(CASES, in_browser(asked, tmp_path), edited, strict=True):
        with told(name):
            check_page(found, *case)


def test_every_shown_number_says_where_it_stands_and_a_nudge_proves_the_gradient(tmp_path):
    model, loss, optimizer, x, t, _ = CASES["xor"]()
    page = page_of(tmp_path, "xor")
    where = """return [...document.querySelectorAll('[data-name]')].map(e =>
      [e.dataset.name, +e.dataset.row, +e.dataset.column, +e.dataset.value]);"""
    explained = "return [minigrad.explain('dW1', 0, 1), minigrad.nudge()]"
    found, (said, nudged) = in_browser([(page, where), (page, explained)], tmp_path)
    _, gradients, new = trained(model, loss, optimizer, x, t, 0.0, 1)[0]
    shown = {(name, row, column): value for name, row, column, value in found}
    assert {name for name, *_ in shown} >= {"x", "t", "W1", "b1", "z1", "a1", "p", "l", "loss", "dz1", "dW1", "W1_new"}
    assert_close(shown["dW1", 1, 2], gradients["dW1"][1, 2])
    assert_close(shown["W2_new", 2, 0], new["W2"][2, 0])
    assert "dW₁ = xᵀ dz₁" in said and said.count("·") == 4
    assert "backward says" in nudged


def test_workbooks_make_the_layers_own_steps(tmp_path):
    paths = [tmp_path / f"{name}.xlsx" for name in IN_A_WORKBOOK]
    for name, path in zip(IN_A_WORKBOOK, paths, strict=True):
        model, loss, optimizer, x, t, l2 = IN_A_WORKBOOK[name]()
        model.lay_open(x, t, loss, optimizer, l2=l2).save(path, steps=FEW.get(name))
        with told(name):
            check_workbook(values(path), IN_A_WORKBOOK[name](), FEW.get(name, 20))
    for name, book in zip(IN_A_WORKBOOK, recalculated(paths, tmp_path), strict=True):
        with told(f"{name}, recalculated"):
            check_workbook(book, IN_A_WORKBOOK[name](), FEW.get(name, 20))


def check_workbook(book, case, steps):
    index = book["Index"][1:]
    places = {(name, sheet): (first, int(rows), int(columns)) for name, sheet, first, rows, columns in index}
    assert len({sheet for _, sheet in places}) == steps

    def numbers(name, step):
        sheet = f"Step {step + 1}"
        return np.array(area(book[sheet], *places[name, sheet]), float)

    for step, (value, gradients, new) in enumerate(trained(*case, steps=steps)):
        assert_close(numbers("loss", step), value)
        for name, gradient in gradients.items():
            assert_close(numbers(name, step), gradient)
        for name, weights in new.items():
            assert_close(numbers(f"{name}_new", step), weights)
    (slope,), (difference,) = area(book["Proof"], "C10", rows=2)
    assert abs(slope - difference) < 1e-6
    if steps > 1:
        assert_close(area(book["Learning"], "C5"), trained(*case, steps=1)[0][0])


# ------------------------------------------------------------------------------------------------------------- refusals
def test_what_cannot_be_shown_is_refused_by_name(tmp_path):
    class Deciding(Layer):
        def forward(self, x):
            return x * 2 if x.mean() > 0 else x

        def backward(self, dy):
            return dy

    model = network(Dense(2, 1), Deciding())
    with pytest.raises(OpenedError, match=r"Deciding\(\): a decision depends on the values of an array"):
        model.lay_open(X, X[:, :1], MeanSquaredError(), SGD(0.1))

    class Keeping(ReLU):
        def forward(self, x):
            self.given = x
            return super().forward(x)

    network(Dense(2, 1), Keeping()).lay_open(X, X[:, :1], MeanSquaredError(), SGD(0.1))
    wide = network(Dense(3000, 50), Dense(50, 1))
    with pytest.raises(OpenedError, match="too large to show; give fewer rows, or a smaller network"):
        wide.lay_open(np.ones((4, 3000)), np.ones((4, 1)), MeanSquaredError(), SGD(0.1))
    with pytest.raises(OpenedError, match="no rows"):
        model.lay_open(X[:0], X[:0, :1], MeanSquaredError(), SGD(0.1))
    opened = network(Dense(2, 1)).lay_open(X, X[:, :1], MeanSquaredError(), SGD(0.1))
    with pytest.raises(OpenedError, match=r"ends in \.html, for a page, or in \.xlsx"):
        opened.save(tmp_path / "step.pdf")
    assert "<iframe srcdoc=" in opened._repr_html_() and "laid open" in repr(opened)


def test_model_and_optimizer_stay_as_they_are():
    model, loss, optimizer, x, t, _ = CASES["iris"]()
    before = model.theta.copy()
    model.lay_open(x, t, loss, optimizer)
    np.testing.assert_array_equal(model.theta, before)
    assert optimizer.steps == 0 and "m" not in vars(optimizer)


def test_the_command_opens_a_saved_model(tmp_path, capsys):
    x, labels = load_digits()
    model = Sequential([Dense(400, 5), Sigmoid(), Dense(5, 10), Sigmoid()], seed=0)
    model.fit(x[::50], labels[::50], loss=BinaryCrossEntropy(), optimizer=SGD(0.5), epochs=1)
    model.save(tmp_path / "model.safetensors")
    arguments = ["open", str(tmp_path / "model.safetensors"), "digits", "--out", str(tmp_path / "step.html")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "a step of 4 rows (" in said and "BinaryCrossEntropy() and SGD(learning_rate=0.1)" in said
    assert "data-block" in (tmp_path / "step.html").read_text(encoding="utf-8")
    assert main(arguments) == 2 and "exists already" in capsys.readouterr().err
    assert main([*arguments[:-1], "step.doc"]) == 2 and "ends in .html" in capsys.readouterr().err
