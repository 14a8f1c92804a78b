"""Parts of a page behind tabs, of which only the open one is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st


def show_parts(parts: Mapping[str, Callable[[], None]]) -> None:
    """Draws the tabs and what the open one shows; which one that is stands in the URL as `part`.

    Args:
        parts: name of each tab -> what draws it; the first is open unless the URL says otherwise.
    """
    for tab, draw in zip(st.tabs(list(parts), key="part", bind="query-params"), parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()
