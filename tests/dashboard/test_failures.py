from __future__ import annotations

import pytest

pytest.importorskip("streamlit")

from hypothesis import given
from hypothesis import strategies as st_
from streamlit.testing.v1 import AppTest

from copperline.dashboard.failures import plain

MARKUP = set("\\`*_{}[]()#+-.!|~>$:<")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("board 7", "board 7"),
        ("a_b_c.png", r"a\_b\_c\.png"),
        ("[x](http://evil)", r"\[x\]\(http\://evil\)"),
        (":red[x] $y$ <b>", r"\:red\[x\] \$y\$ \<b\>"),
        ("# title\n- item", r"\# title \- item"),
        (7.5, r"7\.5"),
        (None, "None"),
    ],
)
def test_nothing_is_taken_for_markup(text: object, escaped: str) -> None:
    assert plain(text) == escaped


@given(st_.text())
def test_every_mark_is_escaped_and_nothing_else_changes(text: str) -> None:
    escaped = plain(text)
    read, marked = [], False
    for letter in escaped:
        if marked or letter != "\\":
            assert marked == (letter in MARKUP)
            read.append(letter)
            marked = False
        else:
            marked = True
    assert not marked
    assert "".join(read) == " ".join(text.split())


def failing() -> None:
    from copperline.dashboard.failures import show_failure
    from copperline.errors import DataError

    show_failure(DataError("expected *a*, found b", where="x_1.txt", line=3, fix="do `c`"))
    show_failure(DataError("only this"))


def test_an_error_says_where_what_and_what_to_do() -> None:
    ran = AppTest.from_function(failing).run()
    assert not ran.exception
    assert [shown.value for shown in ran.error] == [r"**x\_1\.txt**: expected \*a\*, found b", "only this"]
    assert [shown.value for shown in ran.info] == [r"What to do: do \`c\`"]


def empty() -> None:
    from copperline.dashboard.failures import empty_state

    empty_state("Nothing yet", next_step="Inspect a **board**.", command="copperline inspect IMAGE")
    empty_state("Nothing here", next_step="Wait.")


def test_an_empty_page_says_what_to_do_next() -> None:
    ran = AppTest.from_function(empty).run()
    assert not ran.exception
    assert [shown.value for shown in ran.subheader] == ["Nothing yet", "Nothing here"]
    assert [shown.value for shown in ran.markdown] == ["Inspect a **board**.", "Wait."]
    assert [(shown.value, shown.language) for shown in ran.code] == [("copperline inspect IMAGE", "sh")]
