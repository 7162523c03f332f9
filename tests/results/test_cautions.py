"""Each caution is given where it is due, and only there."""

import numpy as np

from minigrad.data.split import split_rows
from minigrad.results.messages import percent
from tests.results.trained import blobs, classified, regressed


def titles(found):
    return [caution.title for caution in found.cautions]


def test_clean_data_have_no_cautions():
    *_, found = classified(*blobs(rows=300))
    assert titles(found) == []


def test_rows_on_both_sides_of_the_split_are_counted():
    x, labels = blobs()
    train, test = split_rows(labels, 0.25)
    x[test[3]], x[test[5]] = x[train[0]], x[train[9]]
    x[train[2], 0], x[test[7]] = 0.0, x[train[2]]
    x[test[7], 0] = -0.0
    *_, found = classified(x, labels)
    assert titles(found) == ["3 of the 30 held-out rows also stand among the training rows"]
    rest = np.delete(found.outcome.right, [3, 5, 7])
    assert f"On the 27 other rows the accuracy is {percent(rest.mean())}." in found.cautions[0].text


def test_sorted_labels_are_named():
    x, labels = blobs(rows=300)
    order = np.argsort(labels, kind="stable")
    *_, found = classified(x[order], labels[order])
    assert titles(found) == ["The data are sorted"]
    assert "each class is one block of rows" in found.cautions[0].text
    t = x[:, 0].copy()
    for order, expected in ((np.argsort(t), 1), (np.argsort(-t), 1), (np.arange(300), 0)):
        *_, found = regressed(x[order], t[order])
        assert titles(found).count("The data are sorted") == expected


def test_rare_classes_are_named():
    x, labels = blobs()
    labels[labels == "rose"] = np.where(np.arange(40) < 7, "rose", "aster")
    *_, found = classified(x, labels)
    assert titles(found) == ["One class has fewer than 10 rows"]
    assert found.cautions[0].text.startswith("rose (7).")


def test_rows_learned_by_heart_are_named():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(80, 30)), np.arange(80) % 2
    *_, found = classified(x, labels, epochs=100)
    assert titles(found) == ["The network knows its training rows much better than new ones"]
    assert "more than 5 points above" in found.cautions[0].text
    *_, found = regressed(x, rng.normal(size=80), epochs=200)
    assert titles(found) == ["The network knows its training rows much better than new ones"]


def test_constant_columns_are_named():
    x, labels = blobs(rows=300, features=6)
    x[:, 5], x[:, 4] = 7.0, 0.0
    *_, found = classified(x, labels)
    assert titles(found) == ["2 of 6 columns are constant"]
    assert found.cautions[0].text.startswith("Columns 5, 6 have the same value")
    *_, found = classified(x[:, :5], labels, names=["a", "b", "c", "d", "lead"])
    assert found.cautions[0].text.startswith("Column 'lead' has the same value")
