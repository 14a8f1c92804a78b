"""Review: the calls that need a person, one after the other, decided by a key."""

from __future__ import annotations

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.board_table import board_link
from copperline.dashboard.failures import plain
from copperline.dashboard.filters import choose, inspected, name_or_unknown, period_text
from copperline.dashboard.inspection_pictures import call_badge, pictures_of, reference_words, show_pictures
from copperline.dashboard.judging import judge
from copperline.dashboard.parts import show_parts
from copperline.dashboard.period import Period, bounds
from copperline.dashboard.traced import (
    FIGURE_WIDTH,
    NOT_MEASURED,
    figure,
    figures_row,
    footnote,
    interval_text,
    value_text,
)
from copperline.quality import Agreement, reviewer_agreement
from copperline.warehouse import (
    BoardFilter,
    BoardRow,
    InspectionTrace,
    Queue,
    count_boards,
    judgements_query,
    next_for_review,
    plant_counts,
    queue_query,
    review_progress,
    shared_judgements,
    statement_text,
    trace_board,
)
from copperline.workflows.plant_figures import FIGURES

QUEUES = {
    Queue.CALLS: "To review",
    Queue.AUDIT: "Audit of passed boards",
    Queue.SECOND_LOOK: "Second look",
}
WHAT_IT_IS = {
    Queue.CALLS: "Boards called FAIL or WITHHELD that nobody has reviewed; FAIL first, the least confident first.",
    Queue.AUDIT: "Passed boards of the last day of production, drawn by lot: without an audit escapes are not known.",
    Queue.SECOND_LOOK: "Boards that somebody else has judged. Two opinions on one board tell how far reviewers agree.",
}
SKIPPED = "skipped"
REVIEW_FIGURES = ("false_call_rate", "escape_rate", "reviewed_yield")


def page() -> None:
    """Draws the page."""
    found = inspected(
        session.engine(),
        "Nothing to review",
        next_step="Boards that the detector fails or withholds come here.",
        command="copperline inspect FOLDER --reference GOLDEN_FOLDER",
    )
    if found is None:
        return
    chosen = choose(found, classes=False, default=Period.MONTH).chosen
    st.caption(period_text(chosen))
    reviewer = _reviewer()
    _shift(chosen)
    queues: list[Queue] = list(Queue)
    queue = st.selectbox("Queue", queues, format_func=QUEUES.__getitem__, key="queue", bind="query-params")
    show_parts(
        {
            "Next board": lambda: _next_board(queue, chosen, reviewer),
            "What review has found": lambda: _measured(chosen),
        }
    )


def _reviewer() -> str:
    """Who decides. Without sign-in several people may share one account of the machine, so they say who they are."""
    if session.settings().dashboard_sign_in or not session.may_write():
        return session.user_name()
    with st.sidebar:
        name = st.text_input("Reviewer", session.user_name(), key="reviewer", persist_state="session", max_chars=100)
    return name.strip() or session.user_name()


def _shift(chosen: BoardFilter) -> None:
    """How far review is: of the period, and what was decided in the current shift."""
    settings = session.settings()
    since, until = bounds(Period.SHIFT, session.now(), session.time_zone(), settings.shift_starts)
    progress = review_progress(session.engine(), chosen)
    shift = review_progress(session.engine(), BoardFilter(since, until))
    calls = progress.awaiting + progress.reviewed_calls
    text = f"{progress.reviewed_calls:,} of {calls:,} calls of this period are reviewed, {progress.awaiting:,} wait"
    st.progress(progress.reviewed_calls / calls if calls else 1.0, text=text)
    people = ", ".join(f"{plain(name)} {count:,}" for name, count in shift.by_reviewer.items())
    started = "" if since is None else f"{since.astimezone(session.time_zone()):%H:%M}"
    st.caption(f"This shift, since {started}: {shift.decided:,} boards decided{f' ({people})' if people else ''}.")


def _next_board(queue: Queue, chosen: BoardFilter, reviewer: str) -> None:
    skipped: set[str] = st.session_state.setdefault(SKIPPED, set())
    rows = next_for_review(session.engine(), queue, chosen, reviewer=reviewer, limit=len(skipped) + 1)
    left = [row for row in rows if row.inspection_id not in skipped]
    footnote(
        WHAT_IT_IS[queue],
        WHAT_IT_IS[queue],
        [statement_text(session.engine(), queue_query(queue, chosen, reviewer=reviewer))],
        key="queue-how",
    )
    if not left:
        if rows:
            st.button(f"Show the {len(rows)} skipped boards again", on_click=skipped.clear, type="primary")
        else:
            st.success("Nothing waits in this queue.", icon=":material/task_alt:")
        return
    row = left[0]
    inspection = trace_board(session.engine(), row.board_id).inspections[0]
    _heading(row, inspection)
    pictures = pictures_of(inspection)
    if judge(inspection, pictures, reviewer, skippable=True):
        # Decided boards leave the queue by themselves, unless only some of their detections were judged.
        skipped.add(row.inspection_id)
        st.rerun()
    show_pictures(inspection, pictures)


def _heading(row: BoardRow, inspection: InspectionTrace) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        call_badge(row.call)
        st.markdown(f"**{plain(row.board_id)}**")
        st.markdown(f"[board's page](/{board_link(row.board_id)})")
    score = NOT_MEASURED if row.registration_score is None else f"{row.registration_score:.2f}"
    at = row.inspected_at.astimezone(session.time_zone())
    st.caption(
        f"{plain(name_or_unknown(row.line_id))}, {plain(name_or_unknown(row.product_type))}, station "
        f"{plain(row.station_id)}, {at:%Y-%m-%d %H:%M %Z}; {plain(row.model_name)} {plain(row.model_version)}; "
        f"detections: {row.defects}; registration {score}{_of_library(inspection)}"
    )


def _of_library(inspection: InspectionTrace) -> str:
    words = reference_words(inspection)
    return "" if words is None else f"; reference of the library: {plain(words)}"


def _measured(chosen: BoardFilter) -> None:
    """False-call and escape rates come from here alone, and so does how far reviewers agree."""
    counts = plant_counts(session.engine(), chosen)
    definitions = [definition for definition in FIGURES if definition.key in REVIEW_FIGURES]
    with figures_row():
        for definition in definitions:
            rate = definition.compute(counts)
            figure(
                definition.label,
                None if rate.value is None else value_text(rate),
                definition.formula,
                [statement_text(session.engine(), count_boards(chosen, counts=definition.counts))],
                note=interval_text(rate),
                key=f"review-{definition.key}",
                width=FIGURE_WIDTH,
            )
    st.subheader("Agreement of reviewers", anchor=False)
    agreement = reviewer_agreement(shared_judgements(session.engine(), chosen))
    if not agreement.pairs:
        st.info(
            'Not measured: no board was judged by two reviewers. The queue "Second look" shows boards that somebody '
            "else has judged.",
            icon=":material/group:",
        )
        return
    pairs = {" and ".join(pair): found for pair, found in agreement.pairs.items()}
    st.container(key="table-agreement").dataframe(
        [_agreement_row(name, found) for name, found in {**pairs, "all pairs together": agreement.pooled}.items()],
        key="agreement",
        hide_index=True,
    )
    footnote(
        "Cohen's kappa: 1 where reviewers always agree, 0 as by chance.",
        "Cohen's kappa = (observed - expected agreement) / (1 - expected): 1 always, 0 as by chance. An item is a "
        "whole board or one detection that two reviewers judged; the latest judgement of each counts. A missed defect "
        "of a board that was not passed is no opinion on its call, and is left out.",
        [statement_text(session.engine(), judgements_query(chosen))],
        key="agreement-how",
    )


def _agreement_row(name: str, found: Agreement) -> dict[str, object]:
    interval = NOT_MEASURED if found.interval is None else f"{found.interval[0]:.2f} to {found.interval[1]:.2f}"
    return {
        "reviewers": name,
        "items": found.items,
        "agreed": found.agreed,
        "kappa": NOT_MEASURED if found.kappa is None else f"{found.kappa:.2f}",
        "95 %": interval,
    }
