"""Tables with a header: what is read from text files and workbooks, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad.data import TableError, WorkbookError, read_table
from tests.tables import ROWS, plants, write


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_read_table_has_the_rows_of_the_file_as_its_index(tmp_path, suffix):
    frame = plants()
    found, target = read_table(write(tmp_path / f"a{suffix}", frame), target="species")
    assert found.columns.tolist() == ["height", "color", "wild", "size"]
    assert [found[name].dtype.kind for name in found] == ["f", "O", "b", "f"]
    for name in found:
        assert found[name].tolist() == frame[name].tolist()
    assert target.tolist() == frame["species"].tolist()
    assert found.index.tolist() == list(range(2, ROWS + 2))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_read_table_delimiters_and_encodings(tmp_path, delimiter, encoding):
    lines = [["größe", "wort"], ["1.5", '"a\nb"'], ["", "NA"], ["-2e3", " c "]]
    (tmp_path / "a.csv").write_bytes("\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    frame, _ = read_table(tmp_path / "a.csv")
    assert frame["wort"].tolist() == ["a\nb", None, "c"]
    np.testing.assert_array_equal(frame["größe"], [1.5, np.nan, -2000])


def test_read_table_decimal_commas_dates_bools_numbers_in_text_and_a_counter_of_rows(tmp_path):
    (tmp_path / "a.csv").write_text(
        ";price;day;door;open;code\n0;1.234,5;2024-02-29;12a;TRUE;1_0\n"
        "1;7;2024-03-01 10:00;007;false;1_1\n2;?;;b;NA;2_0\n"
    )
    frame, _ = read_table(tmp_path / "a.csv")
    assert frame.columns.tolist() == ["price", "day", "door", "open", "code"]
    assert frame["code"].tolist() == ["1_0", "1_1", "2_0"]
    np.testing.assert_array_equal(frame["price"], [1234.5, 7, np.nan])
    assert [str(day) for day in frame["day"][:2]] == ["2024-02-29 00:00:00", "2024-03-01 10:00:00"]
    assert frame["door"].tolist() == ["12a", "007", "b"]
    assert frame["open"].tolist() == [True, False, None]


PIECES = st.sampled_from(
    ["a", "b", ",", ";", "\t", "\n", "\r", '"', "1", "-2.5", "NA", "2024-02-30", "é", "\ufeff", "inf"]
)


@given(st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=40).map(lambda some: "".join(some).encode())))
def test_read_table_of_any_bytes_is_a_table_or_one_clear_error(path, data):
    path.with_suffix(".csv").write_bytes(data)
    read_or_refuse(path.with_suffix(".csv"))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_read_table_of_a_workbook_with_wrong_bytes_is_read_or_refused(path, small, changes):
    content = bytearray(small)
    for place, byte in changes:
        content[place % len(content)] = byte
    path.write_bytes(content)
    read_or_refuse(path)


def read_or_refuse(path):
    try:
        frame, _ = read_table(path)
    except WorkbookError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert len(frame) > 0
        assert frame.columns.is_unique


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("tables") / "a.xlsx"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The bytes of a workbook of ten rows."""
    path = tmp_path_factory.mktemp("small") / "a.xlsx"
    write(path, plants(10))
    return path.read_bytes()


def test_table_error_is_a_value_error_that_python_users_can_catch(tmp_path):
    (tmp_path / "a.csv").write_text("a,a\n1,2\n")
    with pytest.raises(TableError, match="2 columns with the name 'a'"):
        read_table(tmp_path / "a.csv")
