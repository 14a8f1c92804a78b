"""Champion against challenger: on the line's boards that both inspected, and on labelled boards."""

from __future__ import annotations

import time

import streamlit as st

from copperline.dashboard import charts_models, session
from copperline.dashboard.failures import empty_state, plain, show_failure
from copperline.dashboard.model_words import difference_rows, moment, p_text
from copperline.dashboard.traced import chart, explain
from copperline.data import SavedDataset, Split
from copperline.data.store import saved_datasets
from copperline.errors import CopperlineError, DataError, WarehouseError
from copperline.evaluation import Discordance, verdict
from copperline.evaluation.verdict import CHANCE
from copperline.registry import CHALLENGER, CHAMPION, Catalogue, CatalogueEntry
from copperline.taxonomy import Call
from copperline.warehouse import ModelPairs, boards_of_two_models
from copperline.workflows.comparing import (
    KeptComparison,
    compare_models,
    kept_comparison,
    seen_before,
)
from copperline.workspace import Workspace

_SHOWN_BOARDS = 200
_SPLITS: tuple[Split, ...] = ("test", "val", "train")  # the most telling first


def comparison_view(found: Catalogue) -> None:
    """Both comparisons of two models that are chosen here."""
    chosen = _choose(found)
    if chosen is None:
        return
    first, second = chosen
    st.subheader("On boards of the line")
    _on_the_line(first, second)
    st.subheader("On labelled boards")
    _on_labelled_boards(first, second)


def _choose(found: Catalogue) -> tuple[CatalogueEntry, CatalogueEntry] | None:
    usable = {entry.key: entry for entry in found.entries if entry.fault is None}
    champion, challenger = found.with_alias(CHAMPION), found.with_alias(CHALLENGER)
    if len(usable) < 2:
        empty_state(
            "There is no second model to compare with.",
            next_step="Train one; it is registered as challenger.",
            command="copperline train --data PATH",
        )
        return None
    if challenger is None or challenger is champion:
        st.info(
            "There is no challenger beside the champion. The next model that is trained becomes one; until then, "
            "choose any below.",
            icon=":material/info:",
        )
    keys = list(usable)
    at_first = keys.index(champion.key) if champion and champion.key in usable else 0
    at_second = keys.index(challenger.key) if challenger and challenger.key in usable else 0
    if at_second == at_first:
        at_second = next(i for i in range(len(keys)) if i != at_first)
    left, right = st.columns(2)
    titles = {key: entry.title for key, entry in usable.items()}
    first = left.selectbox("Champion", keys, at_first, format_func=titles.__getitem__, key="first", bind="query-params")
    second = right.selectbox(
        "Challenger", keys, at_second, format_func=titles.__getitem__, key="second", bind="query-params"
    )
    if usable[first].sha256 == usable[second].sha256:
        st.info("These two are the same file: choose two different models.", icon=":material/info:")
        return None
    return usable[first], usable[second]


def _on_the_line(first: CatalogueEntry, second: CatalogueEntry) -> None:
    try:
        pairs = boards_of_two_models(session.engine(), first.row_names, second.row_names)
    except WarehouseError as error:
        show_failure(error)
        return
    searched = (
        "All inspections were searched."
        if pairs.complete
        else f"Searched: pairs with one side among the latest {pairs.window:,} inspections."
    )
    if not pairs.boards:
        empty_state(
            "No board was inspected by both.",
            next_step=f"{searched} Inspect images of the line with the other model too; the calls stay apart.",
            command=f"copperline inspect DIR --model {second.key} --reference DIR",
        )
        return
    left, right = st.columns([3, 4])
    with left:
        figure = charts_models.agreement(pairs.counts, first.title, second.title, ink=_ink())
        chart(figure, key="agreement")
    with right:
        _agreement_words(pairs, first, second)
        st.caption(searched)
        explain(
            "A board counts if both inspected the same image of it (board and SHA-256 of the image); of several "
            "inspections by one model the newest counts.\n\nMcNemar's exact test: of the boards that exactly one of "
            "the two called FAIL, p is twice the chance that fair coins fall as unevenly or more so.\n\nUnit: boards.",
            [pairs.statement],
            key="agreement",
        )
    _differing(pairs, first, second)


def _ink() -> str:
    """The theme's text colour, as `theme.toml` has it."""
    return "#f4efe9" if st.context.theme.type == "dark" else "#1f1a17"


def _agreement_words(pairs: ModelPairs, first: CatalogueEntry, second: CatalogueEntry) -> None:
    st.metric("Same call", f"{100 * pairs.agreeing / pairs.boards:.2f} %", border=True)
    st.caption(f"{pairs.agreeing:,} of {pairs.boards:,} boards")
    fails = Discordance.of(pairs.counts.get((Call.FAIL, Call.PASS), 0), pairs.counts.get((Call.PASS, Call.FAIL), 0))
    one, two = plain(first.title), plain(second.title)
    st.markdown(
        f"Failed by {one} alone: **{fails.only_first:,}**; by {two} alone: **{fails.only_second:,}**. "
        + _chance(fails, one, two, "fails more boards")
    )
    right = Discordance.of(*pairs.decided)
    if right.only_first + right.only_second:
        st.markdown(
            f"Where they differ and people decided: {one} was right on **{right.only_first:,}**, {two} on "
            f"**{right.only_second:,}**. " + _chance(right, one, two, "is right more often")
        )
    elif pairs.differing:
        st.markdown("Which was right is not measured: none of the boards on which they differ was reviewed.")
    if pairs.other_reference:
        st.caption(f"{pairs.other_reference:,} of these boards were compared with different references.")


def _chance(counted: Discordance, first: str, second: str, what: str) -> str:
    if counted.p_value >= CHANCE:
        return f"That may be chance ({p_text(counted.p_value)})."
    more = first if counted.only_first > counted.only_second else second
    return f"{more[:1].upper()}{more[1:]} {what}, beyond what chance explains ({p_text(counted.p_value)})."


def _differing(pairs: ModelPairs, first: CatalogueEntry, second: CatalogueEntry) -> None:
    if not pairs.differing:
        return
    st.markdown("Boards on which they differ, the latest first:")
    right = {"first": first.title, "second": second.title, None: "neither"}
    zone = session.time_zone()
    rows = [
        {
            "Board": board.board_id,
            "Inspected": moment(board.inspected_at, zone),
            first.title: board.first.value,
            second.title: board.second.value,
            "Right": "not reviewed" if board.is_bad is None else right[board.right],
        }
        for board in pairs.differing[:_SHOWN_BOARDS]
    ]
    st.dataframe(rows, hide_index=True, height="auto", alt="Boards on which the two models differ")
    if len(pairs.differing) > _SHOWN_BOARDS:
        st.caption(f"The latest {_SHOWN_BOARDS} of {len(pairs.differing):,}.")


def _on_labelled_boards(first: CatalogueEntry, second: CatalogueEntry) -> None:
    datasets = []
    for found in saved_datasets(Workspace(session.settings()).datasets).values():
        if isinstance(found, DataError):
            show_failure(found)
        else:
            datasets.append(found)
    if not datasets:
        empty_state(
            "No labelled boards are imported.",
            next_step="Import a data set with labels; both models are then run on its boards here.",
            command="copperline data import PATH",
        )
        return
    by_name = {dataset.name: dataset for dataset in datasets}
    left, right = st.columns(2)
    name = left.selectbox("Data set", list(by_name), key="dataset", bind="query-params")
    dataset = by_name[name]
    splits = [split for split in _SPLITS if split in dataset.boards]
    split = right.selectbox(
        "Boards",
        splits,
        format_func=lambda each: f"{each} ({dataset.boards[each]:,} boards)",
        key=f"split-{name}",
    )
    _warn_of_seen_boards(dataset, split, first, second)
    kept = _kept(first, second, dataset, split)
    if kept is not None:
        _show(kept, first, second)
    _run_button(first, second, dataset, split, again=kept is not None)


def _warn_of_seen_boards(dataset: SavedDataset, split: Split, first: CatalogueEntry, second: CatalogueEntry) -> None:
    for entry in (first, second):
        why = seen_before(entry.card, dataset, split)
        if why is not None:
            st.warning(
                f"{plain(entry.title)} {why}: its figures are better here than on new boards.",
                icon=":material/warning:",
            )


def _kept(first: CatalogueEntry, second: CatalogueEntry, dataset: SavedDataset, split: Split) -> KeptComparison | None:
    try:
        return kept_comparison(session.settings(), first, second, dataset, split)
    except DataError as error:
        show_failure(error)
        return None


def _show(kept: KeptComparison, first: CatalogueEntry, second: CatalogueEntry) -> None:
    result = kept.result
    st.markdown(f"**{plain(verdict(result, first.title, second.title))}**")
    chart(charts_models.differences(result), key="differences")
    st.dataframe(
        difference_rows(result, first.title, second.title), hide_index=True, alt="Figures of both and their difference"
    )
    missing = result.missing_boards
    st.caption(
        f"{result.boards:,} boards with {result.labels:,} labelled defects, {result.clean_boards:,} clean boards; "
        f"measured {moment(kept.measured_at, session.time_zone())}. Boards with a missed defect in one alone: "
        f"{missing.only_first:,} and {missing.only_second:,} ({p_text(missing.p_value)})."
    )
    explain(
        "Both models inspect the same boards, each at its own operating point. Difference: challenger - champion. Its "
        f"95 % interval is a paired percentile bootstrap: boards are drawn with replacement {result.resamples:,} "
        "times, the same for both. False calls are tested by McNemar's exact test, on clean boards of one alone.",
        key="differences",
    )


def _run_button(
    first: CatalogueEntry, second: CatalogueEntry, dataset: SavedDataset, split: Split, *, again: bool
) -> None:
    if not session.may_write():
        if not again:
            st.markdown("These two have not been compared on these boards. Who may review can run it here.")
        return
    boards = dataset.boards[split]
    label = "Run both again" if again else f"Run both models on {boards:,} boards"
    if not st.button(label, key="compare", type="secondary" if again else "primary", icon=":material/play_arrow:"):
        return
    started = time.monotonic()
    bar = st.progress(0.0, "Starting")

    def moved(done: int, total: int) -> None:
        left = (time.monotonic() - started) / done * (total - done)
        bar.progress(done / total, f"{done:,} of {total:,} inspections, about {left:,.0f} s left")

    try:
        compare_models(session.settings(), first, second, dataset, split, progress=moved)
    except CopperlineError as error:
        bar.empty()
        show_failure(error)
        return
    st.rerun()
