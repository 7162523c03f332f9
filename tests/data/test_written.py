"""Numbers and dates as people write them: what is written in one way is read in that way, and what is open is told."""

import datetime

import pytest
from hypothesis import assume, example, given, strategies as st

from minigrad.tables.reading import dates as written_dates, numbers as written_numbers
from minigrad.tables.reading.numbers import MARKS, Ambiguous, NumberFormat

AROUND = [("", ""), ("€ ", ""), ("$", ""), ("", " kg"), ("", "%"), ("", " CHF"), ("", " km/h"), ("EUR ", "")]


def written(value, decimals, decimal, thousands, around, negative):
    """A number as people write it, negative ones in one of four ways."""
    text = f"{abs(value):,.{decimals}f}".translate({ord(","): "T", ord("."): "D"})
    text = text.replace("T", thousands).replace("D", decimal)
    if negative == "behind":
        return around[0] + text + ("-" if value < 0 else "") + around[1]
    text = around[0] + text + around[1]
    return text if value >= 0 else f"({text})" if negative == "()" else negative + text


@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6),
    decimals=st.integers(0, 3),
    marks=st.sampled_from(MARKS),
    around=st.sampled_from(AROUND),
    negative=st.sampled_from(["-", "−", "()", "behind"]),
    space=st.sampled_from([" ", "\u00a0", "\u202f"]),
)
@example(values=[-120, 5], decimals=0, marks=(".", ""), around=("", ""), negative="behind", space=" ")
def test_numbers_written_in_one_way_are_read_in_that_way(values, decimals, marks, around, negative, space):
    assume(negative != "behind" or around[1] in ("", " CHF"))  # elsewhere the sign could be a hyphen: 12-month
    values = [round(value, decimals) for value in values]
    texts = [written(v, decimals, *marks, around, negative).replace(" ", space) for v in values]
    format = written_numbers.decide(texts)
    if isinstance(format, Ambiguous):
        readings = [[each.parse(text) for text in texts] for each in format.formats]
        assert readings[0] != readings[1]
        assert values in readings
        format = written_numbers.decide(texts, decimal=marks[0])
    assert [format.parse(text) for text in texts] == values
    assert NumberFormat.from_json(format.to_json()) == format


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1,234,567", "12"], [1234567, 12]),
        (["12,34,567", "1,23,456.5"], [1234567, 123456.5]),
        (["1'234.50"], [1234.5]),
        (["0,123"], [0.123]),
        (["$1,035.00", "-$5", "($7.10)"], [1035, -5, -7.1]),
        (["5 €", "7"], [5, 7]),
        (["20 °C", "-3.5 °C"], [20, -3.5]),
        (["1e5", "2.5E-3"], [1e5, 2.5e-3]),
        (["1.234,5 kg", "12 kg"], [1234.5, 12]),
        (["1.234,56-", "7,00", "5,10- EUR"], [-1234.56, 7, -5.1]),
    ],
)
def test_numbers_of_many_kinds(texts, values):
    format = written_numbers.decide(texts)
    assert [format.parse(text) for text in texts] == values


@pytest.mark.parametrize("texts", [["1,234"], ["1,234", "€5"], ["5,678 kg", "12 kg"]])
def test_what_may_be_a_thousand_or_a_decimal_is_told_and_settled_by_the_mark(texts):
    open_question = written_numbers.decide(texts)
    assert isinstance(open_question, Ambiguous)
    assert open_question.example == texts[0]
    point, comma = (written_numbers.decide(texts, mark).parse(texts[0]) for mark in ".,")
    assert point == 1000 * comma


@pytest.mark.parametrize(
    "texts",
    [
        *(["12a", "7b"], ["12", "12a"], ["10 kg", "2 g"], ["R2D2"], ["1.2.3"], ["2024-01-05"], ["(5"], ["--5"]),
        *(["-5-"], ["(5-)"], ["12-month"], ["120.-"], ["120,–"], ["5-7"]),
    ],
)
def test_what_is_no_number_or_not_of_one_kind_has_no_format(texts):
    assert written_numbers.decide(texts) is None


DAYS = st.dates(datetime.date(1970, 1, 1), datetime.date(2068, 12, 31))


@given(
    days=st.lists(DAYS, min_size=1, max_size=6),
    form=st.sampled_from(
        ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%y", "%d %b %Y", "%B %d, %Y", "%d-%b-%Y", "%d.%m.%y"]
    ),
    clock=st.sampled_from(["", " %H:%M", "T%H:%M:%S", " %I:%M %p"]),
    hour=st.integers(0, 23),
)
def test_dates_written_in_one_way_are_read_in_that_way(days, form, clock, hour):
    moments = [datetime.datetime.combine(day, datetime.time(hour if clock else 0)) for day in days]
    texts = [moment.strftime(form + clock) for moment in moments]
    asked = "dmy" if form.startswith("%d") else "mdy" if form.startswith("%m") else None
    found, guessed = written_dates.decide(texts, asked)
    assert not guessed
    assert [found.parse(text) for text in texts] == moments
    again, guess = written_dates.decide(texts)
    assert guess or [again.parse(text) for text in texts] == moments


def test_times_alone_are_those_of_a_day_and_impossible_dates_are_none():
    form, guessed = written_dates.decide(["10:30", "3:05 PM", "23:59:01"])
    assert [str(form.parse(text))[11:] for text in ("10:30", "3:05 PM")] == ["10:30:00", "15:05:00"]
    assert not guessed
    assert written_dates.decide(["2024-02-30"]) is None
    assert written_dates.decide(["13/13/2024"]) is None
    assert written_dates.decide(["01/02/2024"]) == (written_dates.DateForm("mdy"), True)
