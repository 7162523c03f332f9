"""The report: right numbers, honest warnings, and a page that is valid, safe and whole."""

import base64
import copy
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from minigrad import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Embedding,
    Flatten,
    History,
    Layer,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    parameter,
)
from minigrad.command.main import main
from minigrad.data import load_digits
from minigrad.data.split import split_rows
from minigrad.metrics import accuracy, mean_absolute_error, r2_score, wilson_interval
from minigrad.optimizers import SGD, Adam
from minigrad.results import evaluation, page
from minigrad.results.evaluation import evaluate
from minigrad.results.report import Result, as_json, summary, write_html
from minigrad.training import loop as training

SETTINGS = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 32, "l2": 0.001, "seed": 0}
VOID = {"meta", "img", "br"}


@pytest.fixture(autouse=True)
def short_baselines(monkeypatch):
    monkeypatch.setattr(evaluation, "BASELINE_STEPS", 300)


def blobs(rows=120, classes=("aster", "daisy", "rose"), noise=0.7, features=4, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(rows) % len(classes)
    return rng.normal(0, noise, (rows, features)) + np.eye(len(classes), features)[codes], np.array(classes)[codes]


def classified(x, labels, *, epochs=10, single=False, **options):
    train, test = split_rows(labels, 0.25)
    count = len(np.unique(labels))
    last, loss = ([Dense(6, 1), Sigmoid()], BinaryCrossEntropy()) if single else ([Dense(6, count), Softmax()], None)
    head = [Flatten()] if x.ndim > 2 else []
    model = Sequential([*head, Dense(x[0].size, 6), Tanh(), *last], seed=0)
    loss = loss or CategoricalCrossEntropy()
    history = model.fit(x[train], labels[train], loss=loss, optimizer=Adam(0.01), epochs=epochs)
    return model, train, test, evaluate(model, history, x, labels, train, test, **options)


def regressed(x, t, *, epochs=20, **options):
    train, test = split_rows(len(t), 0.25)
    model = Sequential([Dense(x.shape[1], 6), Tanh(), Dense(6, 1 if t.ndim == 1 else t.shape[1])], seed=0)
    history = model.fit(x[train], t[train], loss=MeanSquaredError(), optimizer=Adam(0.01), epochs=epochs)
    return model, train, test, evaluate(model, history, x, t, train, test, **options)


def result(found, name="flowers.csv", notes=()):
    return Result(name, found, SETTINGS, 0.1, 0.2, 0.3, notes)


class Page(HTMLParser):
    """The tags of a page, which must be balanced, and its text."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.links, self.text = [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data", "action")]
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)) and not any(name.startswith("on") for name in names)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def written(found, tmp_path, **options):
    path = tmp_path / "report.html"
    write_html(result(found, **options), path)
    source = path.read_text(encoding="utf-8")
    parsed = Page(source)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in parsed.links)
    assert not re.search(r"https?://|url\((?!#)|@import|<script|<link|<iframe", source)
    ids = re.findall(r' id="([^"]*)"', source)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", source)) <= set(ids)
    return source, parsed


# ------------------------------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize("single", [False, True])
def test_the_numbers_are_those_of_the_held_out_rows(single):
    x, labels = blobs(classes=("no", "yes") if single else ("aster", "daisy", "rose"))
    model, train, test, found = classified(x, labels, single=single, first_row=2)
    answers, p = model.predict_classes(x[test]), model.predict(x[test])
    outcome = found.outcome
    assert outcome.score == accuracy(labels[test], answers)
    assert outcome.train_score == accuracy(labels[train], model.predict_classes(x[train]))
    assert outcome.interval == wilson_interval(int(np.sum(answers == labels[test])), len(test))
    np.testing.assert_array_equal(outcome.right, answers == labels[test])
    largest = np.maximum(p, 1 - p)[:, 0] if single else p.max(axis=1)
    np.testing.assert_array_equal(outcome.confidence, largest)
    assert [mistake.size for mistake in found.mistakes] == sorted(largest[~outcome.right], reverse=True)
    for mistake in found.mistakes:
        place = mistake.row - 2
        assert place in test and mistake.truth == labels[place] != mistake.answer
        assert model.predict_classes(x[place : place + 1])[0] == mistake.answer
        assert mistake.truth_output <= mistake.size
    assert (found.train_rows, found.held_out_rows, found.features) == (90, 30, 4)
    json.dumps(as_json(result(found)))


def test_class_intervals_hold_their_values():
    *_, found = classified(*blobs(noise=1.0))
    report = found.outcome.report
    values = np.stack([report.precision, report.recall, report.f1], axis=1)
    intervals = np.array(found.outcome.class_intervals())
    assert (intervals[..., 0] <= values).all() and (values <= intervals[..., 1]).all()
    assert (intervals >= 0).all() and (intervals <= 1).all()
    matrix = found.outcome.held_out_matrix
    assert intervals[1, 1].tolist() == list(wilson_interval(int(matrix[1, 1]), int(matrix[1].sum())))


def test_r_squared_and_its_interval():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    t = 100 + 20 * x[:, 0] + rng.normal(0, 10, 400)
    model, train, test, found = regressed(x, t, decode=lambda y: 3 * y)
    outcome, p = found.outcome, 3 * model.predict(x[test])[:, 0]
    assert outcome.score == pytest.approx(r2_score(t[test], p))
    assert outcome.error == pytest.approx(mean_absolute_error(t[test], p))
    assert outcome.train_error == pytest.approx(mean_absolute_error(t[train], 3 * model.predict(x[train])[:, 0]))
    # The interval by the delta method agrees with the bootstrap's.
    *_, found = regressed(x, (t - 100) / 20, epochs=60)
    truth, answers = found.outcome.truth[:, 0], found.outcome.answers[:, 0]
    draws = rng.integers(len(truth), size=(2000, len(truth)))
    low, high = np.quantile([r2_score(truth[i], answers[i]) for i in draws], [0.025, 0.975])
    assert found.outcome.interval == pytest.approx((low, high), abs=0.25 * (high - low))
    worst = found.mistakes[0]
    assert worst.size == pytest.approx(abs(truth - answers).max()) and worst.size == abs(worst.truth - worst.answer)


def test_the_linear_baseline_is_least_squares_and_logistic_regression(monkeypatch):
    monkeypatch.setattr(evaluation, "BASELINE_STEPS", 2000)
    rng = np.random.default_rng(0)
    x = rng.normal(50, 1000, (300, 3)) * [1, 1e-6, 1]
    t = 1e4 + x @ [1, 2e6, -1] + rng.normal(0, 300, 300)
    train, test = np.arange(200), np.arange(200, 300)
    linear = evaluation._Linear(x[train], common_scale=False, l2=0, seed=0)
    exact, *_ = np.linalg.lstsq(np.column_stack([x[train], np.ones(200)]), t[train])
    told = linear.numbers(t[train, None], x[test])[:, 0]
    assert r2_score(np.column_stack([x[test], np.ones(100)]) @ exact, told) > 0.9999
    digits, labels = load_digits()
    codes = labels - 1
    train, test = split_rows(codes[::4], 0.2)
    digits, codes = digits[::4], codes[::4]
    linear = evaluation._Linear(digits[train], common_scale=True, l2=1 / len(train), seed=0)
    assert np.mean(linear.classes(codes[train], 10, digits[test]) == codes[test]) > 0.85


def test_better_is_said_only_where_rows_can_tell():
    def verdict(differences):
        values = np.concatenate([differences, [1, -1]])
        return evaluation.Baseline("", 0.5, evaluation._mean_interval(values)).verdict

    still = np.zeros(30)
    assert verdict(np.concatenate([np.ones(20), still])) == "better"
    assert verdict(np.concatenate([-np.ones(20), still])) == "worse"
    assert verdict(np.concatenate([np.ones(3), still])) == "not clearly better"
    assert verdict(still) == "not clearly better"


def test_pure_noise_is_called_so():
    rng = np.random.default_rng(1)
    *_, found = classified(rng.normal(size=(200, 3)), np.arange(200) % 2)
    assert found.baselines[0].verdict == "not clearly better"
    assert "nothing that helps has been learned" in page.verdict(found)


def test_every_verdict_has_words():
    *_, found = classified(*blobs())
    simple, linear = found.baselines
    for gain, words in (
        ((0.1, 0.2), "and than a"),
        ((-0.2, -0.1), "simpler model"),
        ((-0.1, 0.1), "earned their place"),
    ):
        other = copy.copy(found)
        gains = [evaluation.Baseline(simple.name, 0.3, (0.1, 0.2)), evaluation.Baseline(linear.name, 0.4, gain)]
        object.__setattr__(other, "baselines", gains)
        assert words in page.verdict(other)


# ------------------------------------------------------------------------------------------------------ warnings
def titles(found):
    return [warning.title for warning in found.warnings]


def test_clean_data_have_no_warnings():
    *_, found = classified(*blobs(rows=300))
    assert titles(found) == []


def test_rows_on_both_sides_are_counted():
    x, labels = blobs()
    train, test = split_rows(labels, 0.25)
    x[test[3]], x[test[5]] = x[train[0]], x[train[9]]
    x[train[2], 0], x[test[7]] = 0.0, x[train[2]]
    x[test[7], 0] = -0.0
    *_, found = classified(x, labels)
    assert titles(found) == ["3 of the 30 held-out rows also stand among the training rows"]
    rest = np.delete(found.outcome.right, [3, 5, 7])
    assert f"On the 27 other rows the accuracy is {evaluation.percent(rest.mean())}." in found.warnings[0].text


def test_sorted_labels_are_named():
    x, labels = blobs(rows=300)
    order = np.argsort(labels, kind="stable")
    *_, found = classified(x[order], labels[order])
    assert titles(found) == ["The data are sorted"]
    assert "each class is one block of rows" in found.warnings[0].text
    t = x[:, 0].copy()
    for order, expected in ((np.argsort(t), 1), (np.argsort(-t), 1), (np.arange(300), 0)):
        *_, found = regressed(x[order], t[order])
        assert titles(found).count("The data are sorted") == expected


def test_rare_classes_are_named():
    x, labels = blobs()
    labels[labels == "rose"] = np.where(np.arange(40) < 7, "rose", "aster")
    *_, found = classified(x, labels)
    assert titles(found) == ["One class has fewer than 10 rows"]
    assert found.warnings[0].text.startswith("rose (7).")


def test_rows_learned_by_heart_are_named():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(80, 30)), np.arange(80) % 2
    *_, found = classified(x, labels, epochs=100)
    assert titles(found) == ["The network knows its training rows much better than new ones"]
    assert "more than 5 points above" in found.warnings[0].text
    *_, found = regressed(x, rng.normal(size=80), epochs=200)
    assert titles(found) == ["The network knows its training rows much better than new ones"]


def test_constant_columns_are_named():
    x, labels = blobs(rows=300, features=6)
    x[:, 5], x[:, 4] = 7.0, 0.0
    *_, found = classified(x, labels)
    assert titles(found) == ["2 of 6 columns are constant"]
    assert found.warnings[0].text.startswith("Columns 5, 6 have the same value")
    *_, found = classified(x[:, :5], labels, names=["a", "b", "c", "d", "lead"])
    assert found.warnings[0].text.startswith("Column 'lead' has the same value")


# ---------------------------------------------------------------------------------------------------------- text
def test_the_text_tells_the_whole_story():
    *_, found = classified(*blobs(), others=[0.5, 0.7])
    text = summary(result(found, notes=(("target", "is read as text"),)))
    assert "flowers.csv: 120 rows of 4 numbers" in text
    assert "target    is read as text" in text
    assert "in short: " in text and "logistic model of the same rows" in text
    assert f"over 3 seeds: accuracy {100 * np.mean([found.outcome.score, 0.5, 0.7]):.1f} ± " in text
    assert max(map(len, text.splitlines())) < 120


def test_the_text_about_numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    *_, found = regressed(x, x[:, 0] + 5)
    text = summary(result(found))
    assert "mean absolute error" in text and "always answering the mean" in text and "linear model" in text
    told = as_json(result(found))
    assert told["r2"] == found.outcome.score and told["held_out_accuracy"] is None
    json.dumps(told)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.012344, "0.01234"), (1.5, "1.5"), (9628.4, "9,628"), (-160312.7, "-160,313"), (0, "0"), (2e15, "2e+15")],
)
def test_amounts_are_written_as_people_write_them(value, shown):
    assert page.amount(value) == shown


def test_prices_are_told_in_full(tmp_path, monkeypatch):
    """Not as 1.96e+05, which nobody finds again in the workbook; and no picture is spoken of where there is none."""
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None)
    x = np.random.default_rng(0).normal(size=(100, 3))
    *_, found = regressed(x, 3e5 + 1e5 * x[:, 0])
    found.history.best_epoch = 3
    _, parsed = written(found, tmp_path)
    text = " ".join(parsed.text)
    for told in (text, summary(result(found))):
        assert "e+05" not in told and f"{found.outcome.error:,.0f}" in told and "-0.000" not in told
    assert "The parameters are those of epoch" in text and "dotted line" not in text


# ---------------------------------------------------------------------------------------------------------- page
def test_a_page_of_a_table(tmp_path):
    *_, found = classified(*blobs(noise=1.0), names=["a", "b", "c", "d"], others=[0.5])
    source, parsed = written(found, tmp_path, notes=(("columns", "column 'a' < column 'b'"),))
    text = " ".join(parsed.text)
    for words in ("flowers.csv", "logistic model", "always answering aster", "aster", "precision", "stratified",
                  "ver 2 seeds", "Most confidently wrong", "column 'a' < column 'b'"):  # fmt: skip
        assert words in text
    assert parsed.tags.count("svg") == 3 and "img" not in parsed.tags
    assert "currentColor" in source and page.INK not in source


@pytest.mark.parametrize("flat", [True, False])
def test_a_page_of_pictures(tmp_path, flat):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = rng.random((60, 8, 8)) + (labels == 1)[:, None, None] * np.eye(8) * 0.3
    *_, found = classified(x.reshape(60, 64) if flat else x, labels)
    _, parsed = written(found, tmp_path)
    pictures = [link for link in parsed.links if link.startswith("data:")]
    inline = parsed.tags.count("image")
    assert len(pictures) - inline == len(found.mistakes) + 6
    for link in pictures:
        assert base64.b64decode(link.partition(",")[2], validate=False)[:4] == b"\x89PNG"


@pytest.mark.parametrize("outputs", [None, 1, 2])
def test_a_page_about_numbers(tmp_path, outputs):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    t = x[:, 0] if outputs is None else x[:, :outputs]
    *_, found = regressed(x, t)
    _, parsed = written(found, tmp_path)
    text = " ".join(parsed.text)
    assert "linear model" in text and "What is left over" in text and "Furthest off" in text and "R²" in text
    assert parsed.tags.count("svg") == 2


NASTY = "<script>alert('$x$ & \"y\"')</script>"


@pytest.mark.parametrize("drawn", [True, False])
def test_everything_is_escaped(tmp_path, monkeypatch, drawn):
    if not drawn:
        monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None)
    classes = (NASTY, "</td>$\\frac{", "花 \u0007</svg>")
    x, labels = blobs(classes=classes, noise=1.0)
    x[:, 3] = 1
    *_, found = classified(x, labels, names=[NASTY, "<b>", "&amp;", "</aside>"])
    source, parsed = written(found, tmp_path, name=NASTY, notes=((NASTY, NASTY),))
    assert "alert(" in source and "<script" not in source
    assert "script" not in parsed.tags
    text = " ".join(parsed.text)
    assert NASTY in text and "花" in text


def test_without_matplotlib_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None)
    for found in (classified(*blobs())[-1], regressed(blobs()[0], blobs()[0][:, 0])[-1]):
        source, parsed = written(found, tmp_path)
        assert "This report comes without pictures" in source
        assert not {"svg", "img"} & set(parsed.tags)


def test_many_classes_still_make_a_page(tmp_path):
    x = np.eye(90)[:, :20] + np.arange(90)[:, None] / 90
    *_, found = classified(x, np.arange(90) // 2, epochs=1)
    _, parsed = written(found, tmp_path)
    assert "What is taken for what" not in " ".join(parsed.text)


def test_a_perfect_network_has_no_mistakes(tmp_path):
    *_, found = classified(*blobs(noise=0.01), epochs=60)
    assert found.mistakes == []
    source, _ = written(found, tmp_path)
    assert "No held-out row was answered wrongly." in source


def test_the_page_is_the_same_every_time_and_replaces_the_old_one_whole(tmp_path, monkeypatch):
    *_, found = classified(*blobs())
    first, _ = written(found, tmp_path)
    assert written(found, tmp_path)[0] == first

    def broken(*arguments):
        raise RuntimeError("no luck")

    monkeypatch.setattr("minigrad.results.report.render", broken)
    with pytest.raises(RuntimeError):
        write_html(result(found), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == first
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_train_writes_the_report(tmp_path, capsys):
    folder = tmp_path / "new"
    arguments = ["train", "digits", "--json", "--epochs", "2", "--hidden", "5", "--out", str(folder), "--seeds", "2"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["spread"][0] == told["held_out_accuracy"] and len(told["spread"]) == 2
    assert len(told["validation_losses"]) == 2 and told["balanced_accuracy"] > 0.1
    assert told["report"] == str(folder / "report.html") and err == ""
    parsed = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert parsed.tags.count("img") == 16 + 5
    assert "2 seeds" in " ".join(parsed.text)


# ------------------------------------------------------------------------------------------------------ notebook
def test_a_model_shows_itself_in_a_notebook():
    model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10, init="he_normal"), Sigmoid()])
    shown = Page(model._repr_html_())
    plain = model.summary()
    for words in ("Dense(400, 25)", "10,025", "98%", "10,285 parameters"):
        assert words in " ".join(shown.text) and words in plain
    assert shown.tags.count("tr") == 5


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
