"""The bugs of the site's gallery are caught, in the words that are promised."""

import pytest

from docs.bugs import BUGS


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.cls.__name__)
def test_a_usual_bug_gets_its_sentence(bug):
    wrong, _, sentence = bug.section().partition("```text\n")
    assert wrong.startswith(f"## {bug.title}\n\nYou see: ") and wrong.endswith(f"{bug.code.strip()}\n```\n\n")
    assert not sentence.startswith(f"{bug.cls.__name__}: right") and "\n  rule:  " in sentence
    assert bug.words in sentence


def test_the_gallery_tells_of_each():
    assert len(BUGS) == len({bug.title for bug in BUGS}) >= 18
    for bug in BUGS:
        assert bug.story.startswith("You see: ") and "You suspect: " in bug.story
        assert "backward" in bug.code and bug.title not in bug.code
