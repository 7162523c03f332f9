"""The digits, the label encoder and the split."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from minigrad.data import LabelEncoder, load_digits, train_test_split
from minigrad.data.labels import BLOCK, label_array
from minigrad.data.split import split_rows

SEEDS = st.integers(0, 2**40)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3)  # NumPy drops NULs at the end
KINDS_OF_LABELS = [st.integers(-(2**62), 2**62), TEXT, st.booleans()]
LABELS = st.one_of([st.lists(kind, min_size=1, max_size=40) for kind in KINDS_OF_LABELS])


def test_digits_are_what_the_tutorial_describes():
    x, labels = load_digits()
    assert (x.shape, x.dtype, x.min(), x.max()) == ((5000, 400), np.float32, 0, 1)
    assert np.issubdtype(labels.dtype, np.integer)
    assert labels.tolist() == [label for label in (10, *range(1, 10)) for _ in range(500)]


def test_importing_the_data_package_imports_no_slow_library():
    slow = "{'pandas', 'openpyxl', 'python_calamine', 'tqdm'}"
    code = f"import sys, minigrad.data, minigrad.metrics; print(sorted({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@given(LABELS)
def test_codes_and_one_hot_rows_point_at_the_sorted_classes(labels):
    encoder = LabelEncoder(labels)
    assert encoder.classes.tolist() == sorted(set(labels))
    codes = encoder.encode(labels)
    assert [encoder.classes.tolist()[code] for code in codes] == labels
    rows = encoder.one_hot(labels, np.float64)
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, np.eye(len(encoder.classes))[codes])


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, 1, 3], np.uint8),
        np.array([3.0, -1.0, 3.0], np.float32),
        np.array([True, False]),
        np.array(["b", "a"]),
        np.array(["b", "a"], object),
        pd.Series([2, 1, 2], index=[5, 6, 7]),
        pd.Series(["b", "a"]),
        pd.Series([2, 1], dtype="Int64"),
        pd.Series(["b", "a"], dtype="category"),
        pd.Categorical([4, 2]),
    ],
    ids=lambda labels: f"{type(labels).__name__}-{labels.dtype}",
)
def test_decoding_gives_back_labels_of_the_same_dtype(labels):
    encoder = LabelEncoder(labels)
    decoded = encoder.decode(encoder.encode(labels))
    assert decoded.dtype == np.asarray(labels).dtype
    np.testing.assert_array_equal(decoded, np.asarray(labels))


def test_strings_of_any_length_become_ordinary_ones():
    # A deep copy of an array of them ends the process in NumPy 2.0 to 2.2.4.
    labels = np.array(["bb", "a", "bb"], np.dtypes.StringDType())
    encoder = LabelEncoder(labels)
    assert encoder.classes.dtype == np.dtype("<U2") and encoder.classes.tolist() == ["a", "bb"]
    assert encoder.encode(labels).tolist() == [1, 0, 1]
    assert label_array(labels).tolist() == ["bb", "a", "bb"] and len(label_array(labels[:0])) == 0
    for missing in (None, np.nan):
        with pytest.raises(ValueError, match="row 1: the label is missing"):
            LabelEncoder(np.array(["a", missing], np.dtypes.StringDType(na_object=missing)))


def test_classes_are_learned_from_themselves():
    encoder = LabelEncoder([10, 1, 10])
    assert LabelEncoder(encoder.classes).classes.tolist() == [1, 10]
    assert repr(encoder) == "<LabelEncoder of 2 classes: 1, 10>"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "no labels"),
        (["a", 1], "row 1: label 1 is whole numbers, the rows before it are text"),
        ([1, True], "row 1: label True is bools"),
        (["a", None], "row 1: the label is missing"),
        ([1, float("nan")], "row 1: the label is missing"),
        ([1, 2, 2.5], "row 2: 2.5 is no class label"),
        ([1, float("inf")], "row 1: inf is no class label"),
        (np.array([1.0, 2.0, np.nan]), "row 2: the label is missing"),
        (np.array([0.5]), "row 0: 0.5 is no class label"),
        (np.array([1.0, -np.inf]), "row 1: -inf is no class label"),
        (np.array(["a", 1], object), "row 1"),
        (pd.Series(["a", None]), "row 1: the label is missing"),
        (pd.Series([1, None], dtype="Int64"), "row 1: the label is missing"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "not datetime64"),
        ([[0, 1], [1, 0]], r"row 0: \[0, 1\] is no class label"),
        (np.eye(2), r"one column of shape \(rows,\), not an array of shape \(2, 2\)"),
    ],
)
def test_what_is_no_label_is_refused_by_its_row(labels, message):
    with pytest.raises(ValueError, match=message):
        LabelEncoder(labels)


@pytest.mark.parametrize("wrong", [[1, 2, 4], [1, 2, "1"], [True], np.array(["1"]), np.array([4.0])])
@pytest.mark.parametrize("classes", [[1, 2, 3], np.array([1, 2, 3], object)])
def test_an_unseen_label_is_refused_with_its_row_and_the_known_classes(classes, wrong):
    with pytest.raises(ValueError, match="row"):
        LabelEncoder(classes).encode(wrong)
    with pytest.raises(ValueError, match="row 2: label 4 is none of the 3 known classes: 1, 2, 3"):
        LabelEncoder(classes).encode([1, 2, 4])


def test_rows_are_counted_through_all_blocks(tmp_path):
    labels = np.lib.format.open_memmap(tmp_path / "labels.npy", "w+", np.int32, (2 * BLOCK + 5,))
    labels[:] = np.arange(len(labels)) % 7
    labels[BLOCK + 3] = 99
    encoder = LabelEncoder(labels)
    assert encoder.classes.tolist() == [*range(7), 99]
    np.testing.assert_array_equal(encoder.decode(encoder.encode(labels)), labels)
    with pytest.raises(ValueError, match=f"row {BLOCK + 3}: label 99 "):
        LabelEncoder(range(7)).encode(labels)
    mixed = np.array([1] * BLOCK + ["a"], object)
    with pytest.raises(ValueError, match=f"row {BLOCK}: label 'a' is text"):
        LabelEncoder(mixed)
    with pytest.raises(ValueError, match=f"row {BLOCK}: label 'a' is text"):
        LabelEncoder(mixed.tolist())


@pytest.mark.parametrize(
    ("codes", "message"), [([0, -1], "code -1"), ([2], r"code 2 is outside 0\.\.1"), ([0.0], "integers")]
)
def test_decoding_refuses_what_is_no_code(codes, message):
    with pytest.raises(ValueError, match=message):
        LabelEncoder(["a", "b"]).decode(codes)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.floats(0.02, 0.98), SEEDS, st.booleans())
def test_a_split_parts_the_rows_in_proportion_to_the_classes(sizes, test_size, seed, stratify):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows, total = len(labels), round(test_size * len(labels))
    if not 0 < total < rows or (stratify and total > rows - len(sizes)):
        with pytest.raises(ValueError, match="rows"):
            split_rows(labels, test_size, stratify=stratify, seed=seed)
        return
    train, test = split_rows(labels, test_size, stratify=stratify, seed=seed)
    assert len(test) == total
    assert sorted([*train, *test]) == list(range(rows))
    if not stratify:
        return
    counts = np.bincount(labels[test], minlength=len(sizes))
    sizes = np.array(sizes)
    assert (counts < sizes).all()
    shares = total * sizes / sizes[sizes > 1].sum()
    room = sizes > 1
    # A class misses its share by a row or more only where classes that had to keep their last row passed theirs on.
    if (np.ceil(shares[room]) < sizes[room]).all():
        assert (np.abs(counts - shares)[room] < 1).all()
    assert (counts[room] > shares[room] - 1 - 1e-9).all()


@given(SEEDS)
def test_a_seed_names_one_split_and_another_seed_another(seed):
    labels = np.repeat([1, 2], 30)
    first, second = (split_rows(labels, 0.3, seed=seed)[1] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.tolist() != split_rows(labels, 0.3, seed=seed + 1)[1].tolist()


def test_the_split_is_the_same_on_every_platform():
    assert split_rows([1, 1, 1, 2, 2, 2, 2, 2, 2], 3, seed=0)[1].tolist() == [5, 1, 6]


def test_both_parts_are_shuffled():
    for rows in split_rows(np.repeat([1, 2, 3], 50), 0.5, seed=0):
        assert rows.tolist() != sorted(rows)


@pytest.mark.parametrize(
    ("sizes", "total", "shares"),
    [([30, 10], 5, [4, 1]), ([10, 30], 5, [1, 4]), ([10, 40, *[1] * 50], 20, [4, 16]), ([2, 2, 10], 11, [1, 1, 9])],
    ids=["largest remainder", "largest remainder last", "classes of one row", "last rows stay"],
)
def test_test_rows_are_shared_out(sizes, total, shares):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(5):
        assert np.bincount(labels[split_rows(labels, total, seed=seed)[1]]).tolist() == shares


def test_tied_remainders_are_settled_at_random():
    tested = {tuple(np.bincount(split_rows([0, 0, 1, 1], 1, seed=seed)[1] // 2, minlength=2)) for seed in range(20)}
    assert tested == {(0, 1), (1, 0)}


@pytest.mark.parametrize(
    "targets",
    [np.eye(4)[[0, 1, 2, 3, 0, 1]], np.linspace(0, 1, 6), np.array([0.5, np.nan, 1, 2, 3, 4]), 6],
    ids=["one-hot", "continuous", "continuous-with-nan", "count"],
)
def test_targets_without_classes_are_only_shuffled(targets):
    train, test = split_rows(targets, 5, seed=0)
    assert len(test) == 5
    assert sorted([*train, *test]) == list(range(6))


def test_the_order_of_results_is_scikit_learns_and_tables_stay_tables():
    labels = np.tile(["a", "b"], 10)
    table = pd.DataFrame({"v": np.arange(20), "w": labels}, index=np.arange(100, 120))
    parts = train_test_split(table, pd.Series(labels), test_size=4, seed=3)
    assert [len(part) for part in parts] == [16, 4, 16, 4]
    assert isinstance(parts[0], pd.DataFrame) and isinstance(parts[2], pd.Series)
    assert parts[0]["w"].tolist() == parts[2].tolist() and parts[1]["w"].tolist() == parts[3].tolist()
    arrays = train_test_split(table.to_numpy()[:, 0].reshape(-1, 1), labels.tolist(), test_size=4, seed=3)
    assert arrays[1].ravel().tolist() == parts[1]["v"].tolist()
    assert arrays[3].tolist() == parts[3].tolist()


@pytest.mark.parametrize("test_size", [0, 1.0, 0.0, -0.5, 1.5, -1, 10, 11, True, "0.2", None, float("nan"), 0.01])
def test_a_test_size_out_of_range_is_refused(test_size):
    with pytest.raises(ValueError, match="test_size"):
        split_rows(10, test_size)


def test_unequal_row_counts_are_both_named():
    with pytest.raises(ValueError, match="x has 3 rows and the labels have 4"):
        train_test_split(np.zeros((3, 2)), [1, 2, 1, 2])


def test_too_many_test_rows_for_the_classes_are_refused():
    with pytest.raises(ValueError, match=r"2 of 4 rows to test are too many.*3 classes"):
        split_rows(["a", "b", "c", "c"], 2)


def test_a_missing_label_is_refused_by_its_row():
    with pytest.raises(ValueError, match="row 2: the label is missing"):
        split_rows(np.array([1.0, 2.0, np.nan, 1.0]), 1)
