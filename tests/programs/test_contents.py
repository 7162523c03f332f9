"""What a program takes for granted of functions that its layers call."""

import pytest

from minigrad.programs.contents import Guards


def caller():
    class Calls:
        def plain(self, x):
            return x

        def weighted(self, x, weight=None):
            return x

        def keyed(self, x, *, weight=1.0):
            return x

    return Calls()


def replaced_defaults(calls):
    type(calls).weighted.__defaults__ = (2.0,)


def replaced_keywords(calls):
    type(calls).keyed.__kwdefaults__ = {"weight": 2.0}


def a_keyword_in_place(calls):
    type(calls).keyed.__kwdefaults__["weight"] = 2.0


def an_attribute(calls):
    type(calls).weighted.factor = 2.0


def another_function(calls):
    type(calls).plain = type(calls).weighted


def one_of_its_own(calls):
    calls.plain = print


@pytest.mark.parametrize(
    "change",
    [replaced_defaults, replaced_keywords, a_keyword_in_place, an_attribute, another_function, one_of_its_own],
)
def test_guards_notice_what_changes_of_a_function(change):
    calls = caller()
    guards = Guards([(calls, name) for name in ("plain", "weighted", "keyed")], [])
    assert guards.hold()
    change(calls)
    assert not guards.hold()
