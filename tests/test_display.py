"""What a terminal and a notebook show of a model and its training."""

import numpy as np

from minigrad import (
    SGD,
    Dense,
    Embedding,
    Flatten,
    History,
    Layer,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Tanh,
    parameter,
)
from minigrad.display import Markup, html_table, text_table
from minigrad.testing import check_layer
from minigrad.training import fit as training
from tests.results.pages import Page


def test_a_model_shows_itself_in_a_notebook():
    model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10, init="he_normal"), Sigmoid()])
    shown = Page(model._repr_html_())
    plain = model.summary()
    for words in ("Dense(400, 25)", "10,025", "98%", "10,285 parameters"):
        assert words in " ".join(shown.text) and words in plain
    assert shown.tags.count("tr") == 5


def test_a_proof_and_a_program_show_themselves_in_a_notebook():
    """All words of what is printed, as a table and as code."""
    report = check_layer(Dense(3, 2))
    shown = Page(report._repr_html_())
    assert shown.tags.count("tr") == 1 + len(report.findings)
    assert " ".join(str(report).split()) == " ".join(" ".join(shown.text).replace("rule", "", 1).split())
    program = Sequential([Dense(3, 2), Sigmoid()]).program(MeanSquaredError(), SGD(0.1), batch_size=4)
    shown = Page(program._repr_html_())
    assert "".join(shown.text).split() == str(program).split()
    assert shown.tags.count("i") == str(program).count("#")


class Named(Tanh):
    def __repr__(self):
        return "<b>&"


def test_a_layer_with_a_strange_name_is_escaped():
    assert "&lt;b&gt;&amp;" in Sequential([Named()], input_shape=(2,))._repr_html_()


class Everywhere(Layer):
    """y = x W at every place, as a convolution of width 1 does."""

    W, dW = parameter()

    def __init__(self, features, outputs):
        self.features, self.outputs = features, outputs
        self.W = np.ones((features, outputs))

    def forward(self, x):
        return x @ self.W


def shares(*layers, **options):
    return [row[-1] for row in Sequential(layers, **options)._table()[1]]


def test_compute_is_counted_at_every_position():
    # 5 places of 4 x 6 weights are as many products as 30 x 4; a table of vectors is looked up without any.
    layers = Embedding(50, 4), Everywhere(4, 6), Flatten(), Sequential([Dense(30, 4), Tanh()])
    assert shares(*layers, input_shape=(5,)) == ["", "50%", "", "50%"]
    assert shares(Tanh(), Everywhere(3, 2), Tanh()) == ["", "?", ""]
    assert shares(Tanh(), input_shape=(2,)) == [""]


def test_a_history_shows_some_epochs():
    history = History(
        [1 / k for k in range(1, 101)], [2 / k for k in range(1, 101)], {"validation_accuracy": [0.5] * 100}
    )
    history.best_epoch = 42
    plain, shown = history.summary(), Page(history._repr_html_())
    lines = plain.splitlines()
    assert len(lines) == 12 and lines[0].split() == ["epoch", "loss", "validation", "loss", "validation", "accuracy"]
    assert lines[1].split()[:2] == ["1", "1"] and lines[-1].split()[:2] == ["100", "0.01"]
    assert any(line.split()[:2] == ["42", "(best)"] for line in lines)
    assert shown.tags.count("tr") == 12 and "42 (best)" in shown.text
    assert History().summary().split() == ["epoch"] and Page(History()._repr_html_()).tags


def test_a_bar_is_drawn_at_most_ten_times_a_second(monkeypatch):
    import tqdm.auto

    seen = {}

    class Bar(tqdm.auto.tqdm):
        def __init__(self, **options):
            seen.update(options)
            super().__init__(disable=True, **options)

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    x = np.eye(4)
    Sequential([Dense(4, 1)]).fit(x, x[:, 0], loss=MeanSquaredError(), optimizer=SGD(), epochs=2, progress=True)
    assert seen["mininterval"] >= 0.1 == training.SECONDS_BETWEEN_BARS


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [["sigmoid", "25", ""], ["b", "1,000", "x"]]
    assert text_table(["name", "n", ""], rows, "two rows", align="<><").splitlines() == [
        "name         n",
        "sigmoid     25",
        "b        1,000  x",
        "two rows",
    ]
    assert text_table(["name", "n"], []) == "name  n"


def test_cells_are_escaped_unless_they_are_markup():
    shown = html_table(["<"], [["a & b", 1, Markup("<small>2</small>")]], caption=">")
    assert "&lt;" in shown and "a &amp; b" in shown and "<td>1</td><td><small>2</small></td>" in shown
    assert "<caption>&gt;</caption>" in shown
