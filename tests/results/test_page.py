"""The page is valid, safe and whole."""

import base64

import numpy as np
import pytest

from minigrad.results.report import write_html
from tests.results.pages import written
from tests.results.trained import blobs, classified, regressed, result


def test_a_page_of_a_table(tmp_path):
    *_, found = classified(*blobs(noise=1.0), names=["a", "b", "c", "d"], others=[0.5])
    source, parsed = written(found, tmp_path, notes=(("columns", "column 'a' < column 'b'"),))
    text = " ".join(parsed.text)
    for words in ("flowers.csv", "logistic model", "always answering aster", "aster", "precision", "stratified",
                  "ver 2 seeds", "Most confidently wrong", "column 'a' < column 'b'"):  # fmt: skip
        assert words in text
    assert parsed.tags.count("svg") == 3 and "img" not in parsed.tags
    assert "currentColor" in source


@pytest.mark.parametrize("flat", [True, False])
def test_a_page_of_pictures(tmp_path, flat):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = rng.random((60, 8, 8)) + (labels == 1)[:, None, None] * np.eye(8) * 0.3
    *_, found = classified(x.reshape(60, 64) if flat else x, labels)
    _, parsed = written(found, tmp_path)
    pictures = [link for link in parsed.links if link.startswith("data:")]
    assert len(pictures) == len(found.mistakes) + 6
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


def test_everything_is_escaped(tmp_path):
    classes = (NASTY, "</td>$\\frac{", "花 \u0007</svg>")
    x, labels = blobs(classes=classes, noise=1.0)
    x[:, 3] = 1
    *_, found = classified(x, labels, names=[NASTY, "<b>", "&amp;", "</aside>"])
    source, parsed = written(found, tmp_path, name=NASTY, notes=((NASTY, NASTY),))
    assert "alert(" in source and "<script" not in source
    assert "script" not in parsed.tags
    text = " ".join(parsed.text)
    assert NASTY in text and "花" in text


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
