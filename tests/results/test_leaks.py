"""Columns that give the target away, copies and rows that were trained on are found, and only those."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad.results import duplicates as seen
from minigrad.results.duplicates import as_cells, by_chance, met, remembered, row_hashes
from tests.results.trained import blobs, classified, regressed


def titles(found):
    return [caution.title for caution in found.cautions]


@pytest.mark.parametrize("leak", ["opposite", "copy", "logarithm", "noisy", "threshold"])
def test_a_column_that_gives_the_target_is_named_with_its_figure(leak):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    t = np.exp(x[:, 0] + rng.normal(size=400))
    if leak in ("opposite", "threshold"):
        yes = t > 1
        x[:, 1] = ~yes if leak == "opposite" else t
        *_, found = classified(x, np.where(yes, "approve", "reject"), epochs=2, names=["a", "given", "c"])
        figure = " %): so much" if leak == "threshold" else "100.0"
    else:
        x[:, 1] = {"copy": t, "logarithm": -np.log(t), "noisy": t + 0.02 * rng.normal(size=400)}[leak]
        *_, found = regressed(x, t, epochs=2, names=["a", "given", "c"])
        figure = "by it alone"
    assert titles(found)[0] == "One column alone almost gives the target"
    assert found.cautions[0].text.startswith("'given' (") and figure in found.cautions[0].text.replace("\xa0", " ")


def test_a_column_of_text_that_gives_the_target_is_named_by_its_own_name():
    rng = np.random.default_rng(1)
    kind = rng.integers(3, size=300)
    x = np.column_stack([np.eye(3)[kind], rng.normal(size=300)])
    groups = {"status": [0, 1, 2], "size": [3]}
    *_, found = classified(x, np.array(["a", "b", "c"])[kind], names=list("pqrs"), groups=groups)
    assert "'status' (100.0" in found.cautions[0].text


def test_a_good_column_is_no_leak():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(500, 3))
    *_, found = regressed(x, x[:, 0] + 0.3 * rng.normal(size=500), epochs=2)
    assert titles(found) == []
    *_, found = classified(x, np.where(x[:, 0] + 0.1 * rng.normal(size=500) > 0, "a", "b"), epochs=20)
    assert titles(found) == []


def test_equal_rows_of_a_few_categories_are_no_copies():
    rng = np.random.default_rng(0)
    x = rng.integers(3, size=(300, 3)).astype(float)
    labels = np.where(rng.random(300) < 0.2 + 0.2 * x[:, 0], "a", "b")
    *_, found = classified(x, labels)
    assert not any("also stand among" in title for title in titles(found))


def test_copies_are_counted_on_all_columns():
    """Also on one that the network does not get, such as a name."""
    x, labels = blobs(rows=200)
    x[150:] = x[:50]
    cells = np.column_stack([as_cells(x), as_cells(np.arange(200))])
    *_, found = classified(x, labels)
    assert any("also stand among" in title for title in titles(found))
    *_, found = classified(x, labels, cells=cells)
    assert not any("also stand among" in title for title in titles(found))


CELLS = st.sampled_from([0.0, -0.0, 1.5, -2.0, 1e300])


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=20))
def test_equal_rows_and_only_they_have_equal_digests(rows):
    hashes = row_hashes(np.array(rows))
    for row, digest in zip(rows, hashes, strict=True):
        assert [other == row for other in rows] == (hashes == digest).tolist()


def test_rows_of_a_training_are_known_again_by_a_sample(monkeypatch):
    x, labels = np.random.default_rng(0).normal(size=(400, 3)), np.array(["a", "b"] * 200)
    hashes = row_hashes(x, labels)
    assert met(remembered(hashes[:300]), hashes) == (300, 400)
    assert met(remembered(hashes[:300]), row_hashes(x, labels[::-1])) == (0, 400)
    monkeypatch.setattr(seen, "KEPT", 100)
    found, told = met(remembered(hashes[:300]), hashes)
    assert found == 100 and 100 < told < 180
    with pytest.raises(ValueError, match="not consistent"):
        met({"digests": "?"}, hashes)


def test_equal_rows_by_chance_are_as_many_as_there_are():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(4, size=2000), rng.integers(5, size=2000)])
    same = np.mean([np.sum((x[1000:] == row).all(axis=1)) for row in x[:1000]])
    assert by_chance(as_cells(x), 1000) == pytest.approx(same, rel=0.05)
