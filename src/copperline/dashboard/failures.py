"""What a page says when something is wrong or missing: what was expected, what was found, what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from copperline.errors import CopperlineError

# Everything that Streamlit's Markdown, with its colours, icons and formulas, could take for markup.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>$:<])")


def plain(text: object) -> str:
    r"""Text of others (file names, notes, board ids) as it is, inside Markdown: nothing in it is taken for markup.

    >>> plain("<b>a_b</b> :red[x]")
    '\\<b\\>a\\_b\\</b\\> \\:red\\[x\\]'
    """
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


@contextmanager
def failures_shown() -> Iterator[None]:
    """Shows what goes wrong inside, as the shell does around a page: for a part that runs again by itself."""
    try:
        yield
    except CopperlineError as error:
        show_failure(error)


def show_failure(error: CopperlineError) -> None:
    """The error as a person needs it, never a traceback."""
    place = f"**{plain(error.where)}**: " if error.where else ""
    st.error(f"{place}{plain(error.problem)}", icon=":material/error:")
    if error.fix:
        st.info(f"What to do: {plain(error.fix)}", icon=":material/build:")


def empty_state(what: str, *, next_step: str, command: str | None = None) -> None:
    """Where there is nothing to show yet: what is missing, and what to do next.

    Args:
        what: one sentence, Markdown.
        next_step: what brings something here, Markdown.
        command: for the shell, if there is one.
    """
    with st.container(border=True):
        st.subheader(what)
        st.markdown(next_step)
        if command is not None:
            st.code(command, language="sh")
