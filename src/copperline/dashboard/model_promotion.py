"""Promoting and rolling back: the buttons, and the dialog that names both versions and asks for a reason."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.failures import plain, show_failure
from copperline.dashboard.model_words import history_rows, moment
from copperline.errors import CopperlineError
from copperline.evaluation import verdict
from copperline.registry import CHALLENGER, CHAMPION, Catalogue, CatalogueEntry, History, promote_model
from copperline.workflows.comparing import kept_comparisons

_ASKED, _TOLD = "models-promotion-asked", "models-promotion-told"
_REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody is about to confirm.

    Attributes:
        key: of the model that the alias shall point to.
        alias: `champion` or `challenger`.
        expected: the version that it pointed to when the dialog was opened; None: to none.
    """

    key: str
    alias: str
    expected: int | None


def buttons(found: Catalogue, history: History, entry: CatalogueEntry) -> None:
    """What can be done with the chosen model; nothing for those who may only look."""
    if not session.may_write():
        st.caption("View only: who may review may also promote.")
        return
    with st.container(horizontal=True):
        for alias in (CHAMPION, CHALLENGER):
            if found.stands_in and alias == CHALLENGER:
                continue  # first a champion
            if alias not in entry.aliases or found.stands_in:
                st.button(
                    f"Make {alias}",
                    key=f"make-{alias}",
                    type="primary" if alias == CHAMPION else "secondary",
                    icon=":material/upgrade:" if alias == CHAMPION else ":material/swap_horiz:",
                    disabled=entry.card is None,
                    on_click=_ask,
                    args=(found, entry.key, alias),
                )
        before = previous_champion(found, history)
        if before is not None:
            st.button(
                f"Roll back to {before.title}",
                key="roll-back",
                icon=":material/undo:",
                on_click=_ask,
                args=(found, before.key, CHAMPION),
            )


def previous_champion(found: Catalogue, history: History) -> CatalogueEntry | None:
    """The version that was champion before the one that is now, if it is known and still there."""
    number = _pointed_to(found, CHAMPION)
    return None if number is None else found.version(history.before(CHAMPION, number))


def dialog_if_asked(found: Catalogue) -> None:
    """Shows the dialog while somebody is about to confirm, and what came of it afterwards."""
    told = st.session_state.pop(_TOLD, None)
    if told is not None:
        st.success(told, icon=":material/check_circle:")
    asked = st.session_state.get(_ASKED)
    if asked is None:
        return
    entry = found.get(asked.key)
    if entry is None or not session.may_write():
        _forget()
        return
    _confirm(found, asked, entry)


def history_table(history: History, found: Catalogue) -> None:
    """All promotions, and where the history and the registry do not agree."""
    for alias in (CHAMPION, CHALLENGER):
        last, now = history.last(alias), _pointed_to(found, alias)
        if last is not None and last.to_version != now:
            st.warning(
                f"The last promotion recorded made version {last.to_version} the {alias}, but it is "
                f"{'none' if now is None else f'version {now}'} now: it was changed outside Copperline, or another "
                "registry is in use.",
                icon=":material/warning:",
            )
    if history.damaged:
        st.warning(
            f"Lines of the history that cannot be read: {', '.join(map(str, history.damaged))}.",
            icon=":material/warning:",
        )
    rows = history_rows(history, session.time_zone())
    if not rows:
        st.markdown("No promotion is recorded yet. Each one from now on is, with who, when and why.")
        return
    st.dataframe(rows, hide_index=True, alt="All promotions, the newest first")
    st.caption(
        f"Times in {plain(session.settings().time_zone)}. Lines are only ever added; "
        "`copperline models history` lists them too."
    )


def _ask(found: Catalogue, key: str, alias: str) -> None:
    # What the alias points to is noted now: whatever changes until somebody confirms is then noticed.
    st.session_state[_ASKED] = Asked(key, alias, _pointed_to(found, alias))


def _forget() -> None:
    st.session_state.pop(_ASKED, None)


@st.dialog("Promote a model", width="medium", icon=":material/deployed_code:", on_dismiss=_forget)
def _confirm(found: Catalogue, asked: Asked, entry: CatalogueEntry) -> None:
    now = found.version(asked.expected)
    before = "no version" if asked.expected is None else f"version {asked.expected}"
    st.markdown(f"The **{plain(asked.alias)}** changes from **{before}** to **{plain(entry.title)}**.")
    if entry.is_shipped:
        st.caption("The shipped model is registered with its card: an update of Copperline does not change it then.")
    if asked.alias == CHAMPION:
        st.caption("Stations that load `champion` inspect with it from their next start on.")
        if now is not None:
            _what_is_known(now, entry)
    with st.form("promotion", border=False):
        reason = st.text_input(
            "Reason", key="promotion-reason", max_chars=_REASON_CHARACTERS, placeholder="What speaks for it"
        )
        with st.container(horizontal=True):
            confirmed = st.form_submit_button("Confirm", type="primary", key="promotion-confirm")
            cancelled = st.form_submit_button("Cancel", key="promotion-cancel")
    if cancelled:
        _forget()
        st.rerun()
    if not confirmed:
        return
    if not reason.strip():
        st.error("Expected a reason: whoever asks later who changed the model, and why, reads it.")
        return
    try:
        promoted = promote_model(
            session.settings(),
            entry.key,
            asked.alias,
            by=session.user_name(),
            reason=reason.strip(),
            expected=asked.expected,
        )
    except CopperlineError as error:
        show_failure(error)
        return
    _forget()
    st.session_state[_TOLD] = f"Version {promoted.version} is now {plain(asked.alias)}; it was {before}."
    st.rerun()


def _what_is_known(now: CatalogueEntry, entry: CatalogueEntry) -> None:
    kept = kept_comparisons(session.settings(), now, entry)
    if not kept:
        st.info("The two have not been compared on labelled boards.", icon=":material/help:")
        return
    newest = kept[0]
    with st.container(border=True):
        st.markdown(plain(verdict(newest.result, "the present champion", "the new one")))
        st.caption(
            f"{newest.result.boards:,} boards of {plain(newest.dataset)} ({newest.split}), "
            f"{moment(newest.measured_at, session.time_zone())}"
        )


def _pointed_to(found: Catalogue, alias: str) -> int | None:
    entry = found.with_alias(alias)
    return int(entry.version) if entry is not None and not entry.is_shipped else None
