"""Blocks: every row once an epoch, the same bits from every source and after a kill; windows that differ are told."""

import subprocess
import sys
import time
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import SGD, Adam, CategoricalCrossEntropy, Dense, MeanSquaredError, ReLU, Sequential, Softmax, load
from minigrad.data import Blocks
from minigrad.data.blocks import Held

ROWS, WIDTH = 1500, 100
rng = np.random.default_rng(0)
T = np.repeat(np.arange(5), ROWS // 5)  # sorted by class: the worst order
X = (rng.normal(size=(ROWS, 4)) + rng.normal(size=(5, 4))[T] * 2).astype(np.float32)


def network():
    return Sequential([Dense(4, 8), ReLU(), Dense(8, 5), Softmax()], seed=0)


def trained(x, t=None, epochs=2, **more):
    model = network()
    history = model.fit(
        x, t, loss=CategoricalCrossEntropy(), optimizer=Adam(0.01), epochs=epochs, batch_size=32, **more
    )
    return model, history


def cut(rows=WIDTH):
    return [(X[i : i + rows], T[i : i + rows]) for i in range(0, ROWS, rows)]


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=20),
    window=st.integers(1, 6),
    batch=st.integers(1, 12),
    epoch=st.integers(0, 3),
    ranks=st.integers(1, 3),
    shuffle=st.booleans(),
    share=st.sampled_from([None, 0.3]),
)
def test_every_row_comes_once_in_an_epoch_in_whole_batches(sizes, window, batch, epoch, ranks, shuffle, share):
    starts = np.cumsum([0, *sizes])
    source = [(np.arange(a, b)[:, None], np.arange(a, b)) for a, b in pairwise(starts)]
    held = None if share is None else Held(7, share)
    gone = [] if held is None else [t[held(n, len(t))] for n, (_, t) in enumerate(source)]

    def rows():
        found = []
        for rank in range(min(ranks, len(sizes))):
            windows = [
                w.t[w.order]
                for w in Blocks(source, window).windows(
                    7, epoch, shuffle, batch, held=held, rank=rank, ranks=min(ranks, len(sizes))
                )
            ]
            assert all(len(rows) % batch == 0 for rows in windows[:-1])
            assert len(windows) <= -(-len(sizes) // window)
            found += windows
        return np.concatenate(found)

    found = rows()
    assert sorted([*found, *np.concatenate([np.empty(0), *gone])]) == list(range(sum(sizes)))
    assert np.array_equal(found, rows())
    if not shuffle and ranks == 1:
        assert np.array_equal(found, np.sort(found))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same rows in the same blocks, from everything that holds rows."""
    import dask.array
    import dask.dataframe
    import pandas
    import pyarrow
    import zarr
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("blocks")
    np.save(folder / "x.npy", X)
    stored = zarr.create_array(folder / "x.zarr", shape=X.shape, chunks=(WIDTH, 4), dtype="f4")
    stored[:] = X
    names = list("abcd")
    frame = pandas.DataFrame(X, columns=names).assign(label=T)
    (folder / "parts").mkdir()
    for part, start in enumerate(range(0, ROWS, 500)):
        table = pyarrow.Table.from_pandas(frame[start : start + 500], preserve_index=False)
        parquet.write_table(table, folder / "parts" / f"{part}.parquet", row_group_size=WIDTH)

    class Own:
        def __len__(self):
            return ROWS // WIDTH

        def __getitem__(self, number):
            return cut()[number]

    return {
        "list": Blocks(cut(), 5),
        "own": Blocks(Own(), 5),
        "arrays": Blocks((X, T), 5, rows=WIDTH),
        "memmap": Blocks((np.load(folder / "x.npy", mmap_mode="r"), T), 5, rows=WIDTH),
        "zarr": Blocks((stored, T), 5),
        "dask array": Blocks((dask.array.from_array(X, chunks=(WIDTH, 2)), T), 5),
        "dask frame": Blocks(dask.dataframe.from_pandas(frame, npartitions=ROWS // WIDTH), 5, target="label"),
        "parquet": Blocks(str(folder / "parts"), 5, target="label"),
        "columns": Blocks(folder / "parts", 5, target="label", columns=names),
    }


def test_every_source_gives_the_same_bits(sources):
    expected, _ = trained(sources["list"])
    labels = sources["list"].labels()
    for name, blocks in sources.items():
        model, _ = trained(blocks)
        assert np.array_equal(model.theta, expected.theta), name
        assert blocks.rows() == ROWS and blocks.labels() == labels == dict.fromkeys(range(5), ROWS // 5), name
        assert np.array_equal(model.predict(blocks), expected.predict(X)), name


def test_windows_of_many_blocks_learn_as_a_full_shuffle_and_a_few_large_ones_are_told(caplog):
    full, _ = trained(X, T, epochs=8)
    windows, _ = trained(Blocks((X, T), 64, rows=8), epochs=8)
    assert not caplog.records
    few, _ = trained(Blocks((X, T), 1, rows=300), epochs=8)
    right = [(model.predict_classes(X) == T).mean() for model in (full, windows, few)]
    assert right[1] > right[0] - 0.02 > right[2]
    [record] = caplog.records
    assert "other class shares than all rows (80% of its rows" in record.message and "to_arrays" in record.message
    caplog.clear()
    trained(Blocks((X, T), 1, rows=300, classes=range(5)))
    assert len(caplog.records) == 1  # told after the first epoch, when all rows have been counted


def test_windows_of_arrays_are_blocks_of_them_with_their_weights():
    w = rng.uniform(0.5, 2, ROWS)
    named, _ = trained(X, T, shuffle="windows", sample_weight=w, class_weight="balanced")
    given, _ = trained(Blocks((X, T, w)), class_weight="balanced")
    assert np.array_equal(named.theta, given.theta)
    assert not np.array_equal(named.theta, trained(X, T, shuffle="windows")[0].theta)
    in_order, _ = trained(X, T, shuffle=False)
    assert np.array_equal(in_order.theta, trained(Blocks(cut(7)), shuffle=False)[0].theta)
    assert np.array_equal(in_order.theta, trained(Blocks((X, T), 3, rows=50), shuffle=False)[0].theta)


def test_epochs_goes_on_as_fit_does_and_augments():
    model, optimizer, options = network(), Adam(0.01), {"loss": CategoricalCrossEntropy(), "batch_size": 32}

    def noisy(x, rng):
        return x + rng.normal(size=x.shape)

    assert len(list(islice(model.epochs(Blocks(cut()), None, optimizer=optimizer, augment=noisy, **options), 3))) == 3
    model.fit(Blocks((X, T), rows=WIDTH), None, optimizer=optimizer, epochs=2, augment=noisy, **options)
    assert np.array_equal(model.theta, trained(Blocks(cut()), epochs=5, augment=noisy)[0].theta)


def test_a_fraction_is_held_out_of_every_block_and_never_trained_on():
    seen = []

    def note(x, rng):
        seen.extend(row.tobytes() for row in x)
        return x

    _, history = trained(Blocks(cut()), validation=0.2, patience=5, augment=note)
    held = [X[i : i + WIDTH][Held(0, 0.2)(i // WIDTH, WIDTH)] for i in range(0, ROWS, WIDTH)]
    assert 200 < sum(map(len, held)) < 400 and all(map(len, held))
    assert not {row.tobytes() for block in held for row in block} & set(seen)
    assert len(seen) == 2 * (ROWS - sum(map(len, held)))
    _, given = trained(Blocks(cut()), validation=Blocks(cut()))
    _, known = trained(Blocks(cut()), validation=(X, T))
    assert given.validation_loss == pytest.approx(known.validation_loss)
    assert given.metrics == known.metrics and len(history.metrics["validation_accuracy"]) == 2


def test_a_share_for_validation_is_bounded(monkeypatch):
    from minigrad.training import windows

    monkeypatch.setattr(windows, "MOST_VALIDATED", 100)
    rows = []
    monkeypatch.setattr(windows.Windows, "hold_out", noting(windows.Windows.hold_out, rows))
    trained(X, T, shuffle="windows", validation=0.5)
    assert 60 < rows[0] < 140


def noting(hold_out, rows):
    def noted(*arguments):
        rest, held = hold_out(*arguments)
        rows.append(len(held))
        return rest, held

    return noted


def test_all_rows_as_arrays(sources, tmp_path):
    stored = sources["parquet"].to_arrays(tmp_path / "arrays")
    assert np.array_equal(np.load(tmp_path / "arrays" / "x.npy"), X)
    assert np.array_equal(np.load(tmp_path / "arrays" / "t.npy"), T)
    assert stored.window == 5 and len(stored) == 2
    weighted = Blocks([(x, t, np.full(len(x), 2.0)) for x, t in cut()]).to_arrays(tmp_path)
    assert len(weighted[0]) == 3 and (weighted[0][2] == 2).all()


def test_predictions_go_where_they_are_wanted(tmp_path):
    import zarr

    model = network()
    expected = model.predict(X)
    mapped = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", np.float32, (ROWS, 5))
    assert model.predict(X, out=mapped) is mapped and np.array_equal(mapped, expected)
    wide = np.zeros((ROWS, 5))
    assert np.array_equal(model.predict(Blocks(cut()), out=wide), expected)
    stored = zarr.create_array(tmp_path / "y.zarr", shape=(ROWS, 5), chunks=(500, 5), dtype="f4")
    rows = zarr.create_array(tmp_path / "x.zarr", shape=X.shape, chunks=(WIDTH, 4), dtype="f4")
    rows[:] = X
    assert np.array_equal(model.predict(rows, out=stored)[:], expected)
    assert np.array_equal(model.predict(X[:3], out=np.zeros((3, 5))), model.predict(X[:3]))
    with pytest.raises(ValueError, match=r"out has the shape \(3, 5\); the predictions have \(1500, 5\)"):
        model.predict(X, out=np.zeros((3, 5)))
    with pytest.raises(ValueError, match="out holds int64, which can't take predictions of float32"):
        model.predict(X, out=np.zeros((ROWS, 5), int))


def test_numbers_are_learned_from_blocks_too():
    model = Sequential([Dense(4, 1)], seed=0)
    blocks = Blocks([(x, x.sum(axis=1)) for x, _ in cut()])
    history = model.fit(blocks, None, loss=MeanSquaredError(), optimizer=SGD(0.05), epochs=5, validation=0.2)
    assert history.validation_loss[-1] < 1e-3 and "validation_r2" in history.metrics


class Broken(list):
    def __getitem__(self, number):
        if number == 3:
            raise OSError("the disk is gone")
        return super().__getitem__(number)


WRONG = {
    "x alone": (lambda: Blocks(X), "an array alone has no targets"),
    "two arguments": (lambda: Blocks(X, T), r"window=.* is not a whole number from 1 on; give arrays as a pair"),
    "no blocks": (lambda: Blocks([]), "there are no blocks"),
    "no sequence": (lambda: Blocks(iter(cut())), "a sequence of such pairs with a length"),
    "lengths": (lambda: Blocks((X, T[:-1])), "x has 1500 rows, t has 1499"),
    "a target of arrays": (lambda: Blocks((X, T), target="y"), "target= and columns= are for tables"),
    "no file": (lambda: Blocks("nowhere.parquet", target="y"), "nowhere.parquet: there is no such file or folder"),
    "no pair": (lambda: trained(Blocks([X])), r"block 0: is .*; a block is \(x, t\)"),
    "rows that don't match": (lambda: trained(Blocks([(X, T[:5])])), r"block 0: its arrays have the shapes"),
    "widths": (
        lambda: trained(Blocks([(X, T), (X[:, :3], T)])),
        "blocks 0, 1 do not fit each other|rows of shape|must match exactly",
    ),
    "t beside blocks": (lambda: trained(Blocks(cut()), T), "t comes with the blocks"),
    "weights beside blocks": (lambda: trained(Blocks(cut()), sample_weight=T), "sample_weight comes with the blocks"),
    "a class that is not given": (lambda: trained(Blocks(cut(), classes=range(4))), "5 outputs|4 classes"),
    "an unknown label": (
        lambda: trained(Blocks([*cut(), (X[:1], np.array([9]))], classes=range(5))),
        "t holds the label 9; this model has been trained on",
    ),
    "kinds of labels": (lambda: trained(Blocks([*cut(), (X[:1], np.array(["a"]))])), "label"),
    "not finite": (lambda: trained(Blocks([*cut(), (X * np.nan, T)])), "block 15: x is nan in row 0, column 0"),
    "shuffle": (lambda: trained(X, T, shuffle="window"), 'True, False, or "windows"'),
    "no t": (lambda: trained(X, None, shuffle="windows"), "only Blocks bring their targets along"),
    "a share": (lambda: trained(Blocks(cut()), validation=1.5), "validation=1.5: a fraction"),
    "the reader's own": (lambda: trained(Blocks(Broken(cut()), classes=range(5))), "the disk is gone"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case):
    call, message = WRONG[case]
    with pytest.raises((ValueError, OSError), match=message):
        call()


def test_tables_name_their_columns(sources, tmp_path):
    import pandas

    pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": [0, 1]}).to_parquet(tmp_path / "one.parquet")
    with pytest.raises(ValueError, match="has the columns 'a', 'b', 'c': name the one to predict"):
        Blocks(tmp_path)
    with pytest.raises(ValueError, match="has no column 'd'"):
        Blocks(tmp_path, target="d")
    with pytest.raises(ValueError, match=r"block 0: column 'b' holds (large_)?string, not numbers"):
        Blocks(tmp_path, target="c")[0]
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "bad.parquet").write_bytes(b"none of it")
    with pytest.raises(ValueError, match="can't be read as Parquet"):
        Blocks(tmp_path / "two", target="c")


CHILD = """
import sys, time
import numpy as np
sys.path.insert(0, {root!r})
from minigrad import Adam, CategoricalCrossEntropy, Dense, ReLU, Sequential, Softmax
from minigrad.data import Blocks
X, T = np.load("x.npy"), np.load("t.npy")
class Slow(list):
    def __getitem__(self, number):
        time.sleep(0.002)
        return super().__getitem__(number)
blocks = Blocks(Slow((X[i:i + 50], T[i:i + 50]) for i in range(0, len(X), 50)), 4)
network = {network}
network.fit(blocks, None, loss=CategoricalCrossEntropy(), optimizer=Adam(0.01), epochs=10_000, batch_size=32,
            checkpoint="model.safetensors", validation=0.2, patience=30)
"""


def test_a_reader_that_is_killed_loses_no_more_than_the_time_since_its_checkpoint(tmp_path):
    path, root = tmp_path / "model.safetensors", str(Path(__file__).parents[2])
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "t.npy", T)
    code = CHILD.format(root=root, network=f"Sequential([{', '.join(map(repr, network()))}], seed=0)")
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    with child:
        while not path.exists():
            assert child.poll() is None
            time.sleep(0.01)
        child.kill()
    blocks = Blocks(cut(50), 4)
    options = {"loss": CategoricalCrossEntropy(), "epochs": 12, "batch_size": 32, "validation": 0.2, "patience": 30}
    model = network()
    history = model.fit(blocks, None, optimizer=Adam(0.01), checkpoint=path, **options)
    whole = network()
    assert history.loss == whole.fit(blocks, None, optimizer=Adam(0.01), **options).loss
    assert np.array_equal(model.theta, whole.theta) and np.array_equal(load(path).theta, whole.theta)
    with pytest.raises(ValueError, match="its data is"):
        network().fit(Blocks(cut(50), 5), None, optimizer=Adam(0.01), checkpoint=path, **options)
