"""How the columns of a table are prepared, and how the task is found."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from minigrad.data import Preparation
from minigrad.tables.target import target_values


def test_preparation_of_numbers_bools_and_text_is_what_the_docstring_says():
    frame = pd.DataFrame(
        {
            "n": [1.0, 3.0, np.nan, 5.0],
            "b": [True, False, True, True],
            "t": ["x", "x", None, "once"],
            "constant": [7, 7, 7, 7],
            "name": list("abcd"),
            "day": pd.date_range("2024-01-01", periods=4),
            "nothing": [None] * 4,
        }
    )
    preparation = Preparation.fit(frame)
    waves = [f"day: day of the {of} ({wave})" for of in ("month", "week") for wave in ("sin", "cos")]
    days = ["day: days", *waves]
    assert preparation.features == ["n", "n missing", "b", "t = x", "t = (other)", "t = (missing)", *days]
    assert list(preparation.left_out) == ["constant", "name", "nothing"]
    x = preparation.transform(frame)
    assert x.dtype == np.float32
    filled = np.array([1, 3, 3, 5])
    np.testing.assert_allclose(x[:, 0], (filled - 3) / filled.std(), rtol=1e-6)
    np.testing.assert_allclose(x[:, 2], (np.array([1, 0, 1, 1]) - 0.75) / np.sqrt(3 / 16), rtol=1e-6)
    assert x[:, [1, 3, 4, 5]].T.tolist() == [[0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    new = pd.DataFrame({"n": [5.0], "b": [None], "t": ["never seen"], "day": [pd.Timestamp("2024-01-02")]})
    assert preparation.transform(new)[0, [3, 4, 5]].tolist() == [0, 1, 0]
    assert preparation.transform(new)[0, 2] > 0
    assert preparation.surprises(new) == [
        "column 'b': 1 missing, of which training had none",
        "column 't': taken as 'other', since training had too few or none of them: 'never seen' (1)",
    ]


def test_preparation_takes_every_kind_of_pandas_column():
    plain = pd.DataFrame({"0": [1.0, 2.0, np.nan], "1": [1, 0, 0], "2": ["a", None, "a"], "3": [True, None, False]})
    plain["3"] = plain["3"].astype(object)
    nullable = pd.DataFrame(
        {
            0: plain["0"].astype("Int64"),
            1: plain["1"].astype("uint8"),
            2: plain["2"].astype("category"),
            3: plain["3"].astype("boolean"),
        }
    )
    preparation = Preparation.fit(plain)
    assert Preparation.fit(nullable) == preparation
    assert preparation.features == ["0", "0 missing", "1", "2 = a", "2 = (missing)", "3", "3 missing"]
    np.testing.assert_array_equal(preparation.transform(nullable), preparation.transform(plain))
    with pytest.raises(ValueError, match="2 columns with the name '1'"):
        Preparation.fit(nullable.rename(columns={0: "1"}))


def test_preparation_leaves_out_a_counter_of_rows_also_among_some_of_the_rows():
    frame = pd.DataFrame({"id": range(10, 40), "n": np.arange(30.0) ** 2}, index=range(2, 32))
    chosen = frame.iloc[np.random.default_rng(0).permutation(30)[:20]]
    assert Preparation.fit(chosen).names == ["n"]
    assert Preparation.fit(chosen[["id"]]).names == ["id"]


CELLS = {
    "number": st.one_of(st.none(), st.floats(-1e6, 1e6)),
    "text": st.one_of(st.none(), st.sampled_from(["a", "b", "é", "", "1"])),
    "flag": st.one_of(st.none(), st.booleans()),
}
TABLES = st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=4).flatmap(
    lambda kinds: st.integers(4, 9).flatmap(
        lambda rows: st.tuples(
            *(st.lists(CELLS[kind], min_size=rows, max_size=rows) for kind in kinds)
        ).map(lambda columns: pd.DataFrame({f"c{i}": values for i, values in enumerate(columns)}, dtype=object))
    )
)  # fmt: skip


@given(frame=TABLES, seed=st.integers(0, 99))
def test_preparation_survives_json_goes_by_names_and_looks_at_each_row_alone(frame, seed):
    try:
        preparation = Preparation.fit(frame)
    except ValueError as error:
        assert "there is no column to learn from" in str(error)
        return
    x = preparation.transform(frame)
    assert x.shape == (len(frame), len(preparation.features))
    assert np.isfinite(x).all()
    again = Preparation.from_json(json.loads(json.dumps(preparation.to_json())))
    assert again == preparation
    rng = np.random.default_rng(seed)
    other = frame.assign(extra="e")[[*rng.permutation(frame.columns), "extra"]]
    rows = rng.permutation(len(frame))
    np.testing.assert_array_equal(again.transform(other.iloc[rows]), x[rows])
    missing = preparation.names[0]
    with pytest.raises(ValueError, match=f"there is no column '{missing}'"):
        again.transform(frame.drop(columns=missing))


def test_preparation_names_a_column_of_another_kind_than_in_training():
    preparation = Preparation.fit(pd.DataFrame({"n": [1.0, 2.0], "t": ["a", "a"], "u": ["a", None]}))
    with pytest.raises(ValueError, match="column 'n', row 0: holds text, where the network was trained on numbers"):
        preparation.transform(pd.DataFrame({"n": ["a"], "u": ["a"]}))
    with pytest.raises(ValueError, match="several kinds"):
        preparation.transform(pd.DataFrame({"n": [1, "a"], "u": ["a", "a"]}))


@pytest.mark.parametrize(
    "change",
    [
        lambda written: written.pop("columns"),
        lambda written: written["columns"][0].pop("mean"),
        lambda written: written["columns"][0].update(mean="much"),
        lambda written: written["columns"][0].update(command="rm"),
        lambda written: written.update(columns=7),
    ],
)
def test_preparation_from_inconsistent_json_is_refused(change):
    written = Preparation.fit(pd.DataFrame({"n": [1.0, 2.0]})).to_json()
    change(written)
    with pytest.raises(ValueError, match="the preparation is not consistent"):
        Preparation.from_json(written)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 3, "classification"),
        ([True, False], "classification"),
        ([3, 4], "classification"),
        ([1, 2, 3] * 5, "classification"),
        ([1, 2, 3] * 4, "regression"),
        (list(range(21)) * 5, "regression"),
        ([0.5, 1.5] * 9, "regression"),
    ],
)
def test_target_values_find_the_task_by_the_rule_that_is_stated(values, task):
    found, _, targets = target_values(pd.Series(values, name="t"))
    assert found == task
    assert targets.dtype.kind == ("f" if task == "regression" else np.asarray(values).dtype.kind)
