"""Models: which inspect, what they can do, whether another is better, who put them there."""

from __future__ import annotations

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.failures import empty_state, plain
from copperline.dashboard.model_card_view import card_view
from copperline.dashboard.model_comparison_view import comparison_view
from copperline.dashboard.model_promotion import buttons, dialog_if_asked, history_table
from copperline.dashboard.model_words import version_rows
from copperline.registry import CHAMPION, Catalogue, CatalogueEntry, History, catalogue, open_registry

CARD, COMPARISON, PROMOTIONS = "Model", "Champion against challenger", "Promotions"


def page() -> None:
    settings = session.settings()
    found, history = catalogue(settings), open_registry(settings).history()
    if not found.entries:
        empty_state(
            "No model is registered, and none is shipped.",
            next_step="Train one on labelled boards, or on golden images alone.",
            command="copperline train --data PATH",
        )
        return
    dialog_if_asked(found)
    _state(found, history)
    st.dataframe(version_rows(found, session.time_zone()), hide_index=True, alt="All models, the newest first")
    view = st.segmented_control(
        "View", (CARD, COMPARISON, PROMOTIONS), default=CARD, required=True, key="view", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    if view == COMPARISON:
        comparison_view(found)
    elif view == PROMOTIONS:
        history_table(history, found)
    else:
        _one(found, history)


def _state(found: Catalogue, history: History) -> None:
    """What a visitor has to know before anything else."""
    if found.registered:
        if found.with_alias(CHAMPION) is None:
            st.warning("No version is champion: stations that load it cannot inspect.", icon=":material/warning:")
        return
    if history.promotions:
        st.warning(
            f"The history names {len(history.promotions)} promotions, but the registry is empty: its file was removed, "
            "or the setting registry_uri names another. Restore it from a backup.",
            icon=":material/warning:",
        )
    if found.stands_in:
        st.info(
            "Nothing is registered yet: the shipped model `builtin:deeppcb` stands in as champion. Make it champion "
            "to pin it, so that an update of Copperline does not change what inspects.",
            icon=":material/info:",
        )
    else:
        st.warning(
            "Nothing is registered, and no shipped model finds this factory's classes: train one with "
            "`copperline train`.",
            icon=":material/warning:",
        )


def _one(found: Catalogue, history: History) -> None:
    keys = [entry.key for entry in found.entries]
    champion = found.with_alias(CHAMPION)
    titles = {entry.key: entry.title for entry in found.entries}
    key = st.selectbox(
        "Model",
        keys,
        keys.index(champion.key) if champion else 0,
        format_func=titles.__getitem__,
        key="model",
        bind="query-params",
    )
    entry = found.get(key)
    assert entry is not None
    _headline(entry, found.stands_in)
    buttons(found, history, entry)
    card_view(entry)


def _headline(entry: CatalogueEntry, stands_in: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(plain(f"{entry.name} {entry.version}"), width="content")
        for alias in entry.aliases:
            if stands_in:
                st.badge("stands in as champion", color="orange")
            else:
                st.badge(plain(alias), color="green" if alias == CHAMPION else "blue")
