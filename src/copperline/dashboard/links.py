"""Links from page to page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

_KEY = "_pages"


def remember(pages: Mapping[str, st.Page]) -> None:
    """The pages of this run, by module name: a link is made from a page and not from its address."""
    st.session_state[_KEY] = dict(pages)


def link(module: str, label: str) -> None:
    """A link to the page `module`; where it is shown alone, as in a test, its name."""
    page = st.session_state.get(_KEY, {}).get(module)
    if page is None:
        st.caption(label)
    else:
        st.page_link(page, label=label)
