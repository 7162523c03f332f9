"""The analyst's second day: what is said of columns and files that offices really have, from training to evaluation."""

import json
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from minigrad import load
from minigrad.command.main import main
from minigrad.data import read_table
from minigrad.data.samples import SAMPLES
from minigrad.saving.checkpoint import Checkpoint
from minigrad.tables.sources import Table
from minigrad.tables.writing.predictions import BY_PANDAS
from minigrad.version import __version__, installing

ROWS = 120


def sales(rows=ROWS):
    """Rows as a German office writes them, of which the answer follows from weight and price."""
    rng = np.random.default_rng(0)
    weight, price = rng.uniform(1, 60, rows).round(1), rng.uniform(100, 9000, rows).round(2)
    days = pd.Timestamp("2023-01-05") + pd.to_timedelta(np.arange(rows) * 4, unit="D")
    german = [f"{p:,.2f} €".translate({ord(","): ".", ord("."): ","}) for p in price]
    yes = weight * 150 + price > 9000
    return pd.DataFrame(
        {
            "Preis": german,
            "Tag": days.strftime("%d.%m.%Y"),
            "Gewicht": ["-" if k % 9 == 4 else f"{w} kg".replace(".", ",") for k, w in enumerate(weight)],
            "Kunde": [f"K{k // 4}" for k in range(rows)],
            "Bemerkung": [f"bestellt am {k}., Müller" for k in range(rows)],
            "gekauft": [["ja", "ja", "JA", " Ja "][k % 4] if y else "nein" for k, y in enumerate(yes)],
        }
    )


def write(path, frame, encoding="cp1252", title="Verkäufe 2023\r\n\r\n"):
    text = title + frame.to_csv(sep=";", index=False, lineterminator="\r\n")
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sales")
    data = write(folder / "sales.csv", sales())
    arguments = ["--epochs", "30", "--out", str(folder / "m")]
    assert main(["train", data, "--target", "gekauft", *arguments]) == 0
    return folder


def run(capsys, *arguments, status=0):
    assert main([str(argument) for argument in arguments]) == status
    out, err = capsys.readouterr()
    return err if status else out


def train_json(capsys, path, *arguments):
    quick = ["--target", "gekauft", "--hidden", "4", "--epochs", "2", "--json"]
    return json.loads(run(capsys, "train", path, *quick, *arguments))


def test_train_tells_each_choice_and_keeps_it_in_the_models_file(folder, capsys):
    out = run(capsys, "train", folder / "sales.csv", "--target", "gekauft", "--epochs", "1")
    for words in (
        "gekauft: text ('",
        "'JA' is 'ja'",
        "'Ja' is 'ja'",
        "header found in row 3, below 'Verkäufe 2023'",
        "encoding cp1252, found by its bytes",
        "Preis: numbers written as 1.234,5 €; numbers, standardised",
        "Tag: dates, read as day, month, year; dates from 2023-",
        "elapsed days, year, month, day of the month, day of the week",
        "Gewicht: numbers written as 1234,5 kg; missing where it holds '-'; numbers, standardised",
        "Bemerkung: left out: text of which no two rows have the same: identifiers",
        "rows were held out at random",
        "--split-by 'Tag' holds out the latest",
    ):
        assert words in " ".join(out.split())
    model = load(folder / "m")
    assert model.classes.tolist() == ["ja", "nein"]
    assert model.reading.columns["Preis"].number.describe() == "written as 1.234,5 €"


def test_evaluate_reads_what_predict_wrote_in_the_dialect_of_the_data(folder, capsys):
    run(capsys, "predict", folder / "m", folder / "sales.csv", "--out", folder / "out.csv")
    before, after = ((folder / name).read_bytes().decode("cp1252").split("\r\n") for name in ("sales.csv", "out.csv"))
    assert len(after) == len(before)
    assert after[:2] == before[:2]
    assert after[2] == before[2] + ";prediction;probability of ja;probability of nein"
    for old, new in zip(before[3:-1], after[3:-1], strict=True):
        label, *probabilities = new.removeprefix(old + ";").split(";")
        assert label in ("ja", "nein")
        assert sum(float(p.replace(",", ".")) for p in probabilities) == pytest.approx(1, abs=1e-5)
        assert "." not in "".join(probabilities)
    found = [
        json.loads(run(capsys, "evaluate", folder / "m", folder / name, "--json")) for name in ("sales.csv", "out.csv")
    ]
    assert found[0]["accuracy"] == found[1]["accuracy"] > 0.8
    model = load(folder / "m")
    told = [line.split(";")[6] for line in after[3:-1]]
    assert model.predict(sales()).tolist() == told


def test_predictions_are_the_same_from_a_workbook_and_from_parquet(folder, tmp_path, capsys):
    raw = sales()
    numbers = load(folder / "m").reading.apply(raw)
    frame = numbers.assign(gekauft=raw["gekauft"])
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    answers = []
    for name in ("a.xlsx", "a.parquet"):
        run(capsys, "predict", folder / "m", tmp_path / name, "--out", tmp_path / f"{name}.out.xlsx")
        found = pd.read_excel(tmp_path / f"{name}.out.xlsx", engine="calamine")
        np.testing.assert_array_equal(found["Preis"], frame["Preis"])
        assert found["Tag"].tolist() == frame["Tag"].tolist()
        answers.append(found["prediction"].tolist())
    assert answers[0] == answers[1] == load(folder / "m").predict(raw).tolist()


READERS = {
    "parquet": pd.read_parquet,
    "feather": pd.read_feather,
    "ods": lambda path: pd.read_excel(path, engine="calamine"),
}


@pytest.mark.parametrize("source", ["numbered.csv", "typed.parquet"])
def test_predictions_are_written_as_tables_are_read(source, folder, tmp_path, capsys):
    raw = sales()
    typed = load(folder / "m").reading.apply(raw).assign(gekauft=raw["gekauft"], Anzahl=np.arange(len(raw)))
    typed.to_parquet(folder / "typed.parquet")
    write(folder / "numbered.csv", raw.assign(Nr=np.arange(ROWS)))
    told = load(folder / "m").predict(raw).tolist()
    expected = json.loads(run(capsys, "evaluate", folder / "m", folder / source, "--json"))
    for ending, read in READERS.items():
        out = tmp_path / f"out.{ending}"
        run(capsys, "predict", folder / "m", folder / source, "--out", out)
        found = read(out)
        assert found["prediction"].tolist() == told
        assert found["Tag"].tolist() == typed["Tag"].tolist()
        if source == "numbered.csv":
            assert found["Nr"].tolist() == list(range(ROWS)) and found["Nr"].dtype == np.int64
        elif ending != "ods":
            pd.testing.assert_frame_equal(found[list(typed)], typed)
        shares = found["probability of ja"] + found["probability of nein"]
        np.testing.assert_allclose(shares, 1, atol=1e-5)
        again = json.loads(run(capsys, "evaluate", folder / "m", out, "--json"))
        assert again["confusion_matrix"] == expected["confusion_matrix"]


def test_what_writes_a_file_is_named_before_the_work_where_it_is_missing(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(BY_PANDAS, ".ods", ("no_such_module", "ods"))
    arguments = ["predict", str(folder / "m"), str(folder / "sales.csv"), "--out", str(tmp_path / "a.ods")]
    assert main(arguments) == 2
    assert f".ods files are written by no_such_module: {installing('ods')}" in capsys.readouterr().err


def test_predict_counts_what_training_had_not(folder, tmp_path, capsys):
    frame = sales().assign(Kunde="K999")
    frame["Gewicht"] = [text.replace(" kg", "0 kg") if k < 50 else text for k, text in enumerate(frame["Gewicht"])]
    frame["Preis"] = ["9" + text for text in frame["Preis"]]
    assert main(["predict", str(folder / "m"), write(tmp_path / "a.csv", frame), "--out", str(tmp_path / "b.csv")]) == 0
    err = capsys.readouterr().err
    assert f"'K999' ({ROWS})" in err
    assert "column 'Preis': " in err and "lie far outside those that training had" in err
    assert "in the same units?" in err


def test_rows_without_a_target_are_left_out_and_counted_and_rows_keep_their_numbers(tmp_path, capsys):
    frame = sales()
    frame.loc[:19, "gekauft"] = None
    path = tmp_path / "a.csv"
    write(path, frame)
    found = train_json(capsys, path)
    assert found["train_rows"] + found["held_out_rows"] == ROWS - 20
    assert "rows: 20 without a value in column 'gekauft' are left out" in found["notes"]
    write(path, frame[:25])
    err = run(capsys, "train", path, "--target", "gekauft", status=2)
    assert "has 5 rows, and 20 without a value in column 'gekauft'; 10 are the least" in err


def test_columns_are_dropped_kept_and_split_by_as_asked(folder, tmp_path, capsys):
    data = folder / "sales.csv"
    plain = train_json(capsys, data)["preparation"]
    assert plain["Kunde"].startswith("text, one column for each of")
    told = train_json(capsys, data, "--drop", "Kunde", "--drop", "Tag")["preparation"]
    assert told["Kunde"] == told["Tag"] == "left out: dropped, as you asked for (--drop)"
    frame = sales().assign(Name=[f"Name {k % 70}" for k in range(ROWS)])
    named = tmp_path / "a.csv"
    write(named, frame)
    assert "left out: free text or names: " in train_json(capsys, named)["preparation"]["Name"]
    assert train_json(capsys, named, "--keep", "Name")["preparation"]["Name"].startswith("text, one column for each")
    assert train_json(capsys, data, "--as-category", "Preis")["preparation"]["Preis"].startswith(
        "left out: text of which"
    )
    err = run(capsys, "train", data, "--target", "gekauft", "--drop", "Tga", status=2)
    assert "there is no column 'Tga' for --drop (did you mean 'Tag'?)" in err
    err = run(capsys, "train", data, "--target", "gekaft", status=2)
    assert "has no column 'gekaft' to predict (did you mean 'gekauft'?)" in err


def test_held_out_rows_are_the_latest_or_whole_groups(folder, capsys):
    data = folder / "sales.csv"
    out = run(capsys, "train", data, "--target", "gekauft", "--split-by", "Tag", "--epochs", "1")
    assert "96 rows to train on, 24 held out; the latest by 'Tag' (--split-by)" in out
    assert "dates from 2023-01-05 to 2024-01-20" in " ".join(out.split())  # of training's rows
    assert "stratified" not in out and "holds out the latest rows, which" not in out
    found = train_json(capsys, data, "--group", "Kunde")
    assert found["held_out_rows"] % 4 == 0
    assert found["preparation"]["Kunde"].startswith("left out: the group (--group)")
    err = run(capsys, "train", data, "--target", "gekauft", "--split-by", "Bemerkung", status=2)
    assert "--split-by 'Bemerkung': the column holds text; it takes dates or numbers" in err


def test_a_byte_order_mark_is_kept_and_letters_that_an_encoding_lacks_are_written_in_utf_8(tmp_path, capsys):
    frame = sales().replace({"nein": "нет"})
    data = write(tmp_path / "a.csv", frame, "utf-8-sig", title="")
    model = str(tmp_path / "m")
    run(capsys, "train", data, "--target", "gekauft", "--epochs", "1", "--out", model)
    run(capsys, "predict", model, data, "--out", tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes().startswith(b"\xef\xbb\xbfPreis;")
    data = write(tmp_path / "c.csv", frame.drop(columns="gekauft"))
    assert main(["predict", model, data, "--out", str(tmp_path / "d.csv")]) == 0
    assert "does not keep: its encoding, cp1252, which has not all letters" in capsys.readouterr().err
    assert "probability of нет" in (tmp_path / "d.csv").read_text(encoding="utf-8-sig")


def test_a_workbook_of_values_alone_is_copied_fast_and_one_with_formats_with_them(folder, tmp_path, capsys):
    frame = load(folder / "m").reading.apply(sales())
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    book.active.column_dimensions["A"].width = 33
    book.save(tmp_path / "b.xlsx")
    found = []
    for name in "ab":
        run(capsys, "predict", folder / "m", tmp_path / f"{name}.xlsx", "--out", tmp_path / f"{name}{name}.xlsx")
        book = openpyxl.load_workbook(tmp_path / f"{name}{name}.xlsx")
        found.append([[cell.value for cell in row] for row in book.active.iter_rows()])
    assert found[0] == found[1]
    assert book.active.column_dimensions["A"].width == 33


# ---------------------------------------------------------------------------------------------- what is kept, and how
def test_ctrl_c_says_what_is_kept_and_resume_ends_as_if_nothing_had_happened(folder, tmp_path, capsys, monkeypatch):
    data, whole, parts = str(folder / "sales.csv"), str(tmp_path / "whole"), str(tmp_path / "parts")
    arguments = ["train", data, "--target", "gekauft", "--epochs", "5"]
    run(capsys, *arguments, "--out", whole)
    ended = Checkpoint.write

    def interrupted(*given):
        raise KeyboardInterrupt

    def interrupt(self, history, best):
        ended(self, history, best)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # while hidden layers are chosen, before there is anything to keep
        patch.setattr("minigrad.tables.choose.trained_on", interrupted)
        assert run(capsys, *arguments, "--out", parts, status=130) == "minigrad: interrupted\n"
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", interrupt)
        err = run(capsys, *arguments, "--out", parts, status=130)
    kept = Path(parts) / "model.safetensors"
    assert err == (
        f"minigrad: interrupted; {kept} holds the network as it was after 1 epochs; the same "
        f"command with --resume goes on\n"
    )
    words = "the training was interrupted, so this is the network as it was then; train with --resume goes on"
    assert words in run(capsys, "show", parts)
    assert main(["evaluate", parts, data]) == 0
    assert words in capsys.readouterr().err
    run(capsys, *arguments, "--out", parts, "--resume")
    assert words not in run(capsys, "show", parts)
    np.testing.assert_array_equal(load(parts).theta, load(whole).theta)
    assert load(parts).facts == load(whole).facts


def test_a_full_disk_and_a_folder_that_can_t_be_written_name_the_users_file(folder, tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    out = tmp_path / "out.csv"
    for name, replacement, words in (
        ("minigrad.atomic.os.fsync", full, "No space left on device"),
        ("minigrad.atomic.Path.open", refuse, "Permission denied"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(name, replacement)
            assert main(["sample", "penguins", str(out)]) == 2
        assert capsys.readouterr().err == f"minigrad: {out}: {words}\n"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_written_with_its_source_and_trains_as_its_last_line_says(name, tmp_path, capsys):
    frames = []
    for suffix in ("csv", "parquet") if name == "crashes" else ("csv", "xlsx", "parquet"):  # as a sheet it is long
        out = run(capsys, "sample", name, tmp_path / f"a.{suffix}")
        assert SAMPLES[name].source in out and SAMPLES[name].licence in out
        frames.append(read_table(tmp_path / f"a.{suffix}")[0])
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame.reset_index(drop=True), frames[0].reset_index(drop=True))
    target = SAMPLES[name].target
    network = ["--hidden", "64", "--epochs", "40"]
    found = json.loads(
        run(capsys, "train", tmp_path / "a.csv", "--target", target, *network, "--json", "--test-size", "0.3")
    )
    measure = {"penguins": "held_out_accuracy", "weather": "r2", "crashes": "held_out_auc"}[name]
    assert found[measure] > {"penguins": 0.9, "weather": 0.7, "crashes": 0.8}[name]
    assert "already; choose another name" in run(capsys, "sample", name, tmp_path / "a.csv", status=2)
    assert "(did you mean 'penguins'?)" in run(capsys, "sample", "pinguins", tmp_path / "b.csv", status=2)


def test_version_and_words_that_were_meant(folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"minigrad {__version__}\n"
    assert "(did you mean 'train'?)" in run(capsys, "trian", "digits", status=2)
    sales().to_excel(tmp_path / "a.xlsx", sheet_name="sales", index=False)
    err = run(capsys, "train", tmp_path / "a.xlsx", "--target", "gekauft", "--sheet", "sale", status=2)
    assert "has no sheet 'sale' (did you mean 'sales'?)" in err


def test_times_are_no_dates_and_how_a_target_is_written_is_told(tmp_path, capsys):
    frame = pd.DataFrame({"at": [f"{k % 24:02}:{k % 60:02}" for k in range(60)], "n": np.arange(60) % 7})
    frame["price"] = [f"{1000 + 37 * k % 800:,}.50 €" for k in range(60)]
    frame.to_csv(tmp_path / "a.csv", index=False)
    told = run(capsys, "train", tmp_path / "a.csv", "--target", "price", "--hidden", "none", "--epochs", "1")
    assert "at: dates, read as times of the day; times from 0" in told
    assert "--split-by" not in told
    assert "price: numbers written as 1,234.5 €; " in told


def test_numbers_that_are_named_as_codes_are_told_where_there_are_many():
    """Such a column is learned from as numbers all the same: nobody but the user knows."""
    rows = np.arange(60)
    frame = pd.DataFrame({"Artikel-Nr.": rows * 7919 % 997, "zipCode": rows % 10, "Number of rooms": rows * 31 % 59})
    told = " ".join(words for _, words in Table(frame, pd.Series(rows / 7.0, name="t")).prepare(rows, rows[:0]).notes)
    assert "--drop 'Artikel-Nr.' or --as-category 'Artikel-Nr.'" in told and told.count("--as-category") == 1
    assert "numbers, standardised: zipCode, Number of rooms" in told
