"""Vision Lab: any image through any model, at once. Nothing is recorded."""

from __future__ import annotations

import hashlib

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.board_view import FindingRow, around, display_taxonomy, finding_rows
from copperline.dashboard.board_viewer import Scene, show_board
from copperline.dashboard.failures import plain, show_failure
from copperline.dashboard.lab_controls import choose_model, choose_source, choose_thresholds, load_detector
from copperline.dashboard.lab_models import ModelChoice
from copperline.dashboard.lab_sources import LabSource
from copperline.dashboard.lab_trial import LabTrial, View, run_trial
from copperline.dashboard.shelf import Shelf
from copperline.dashboard.traced import figure
from copperline.errors import CopperlineError
from copperline.evaluation import MATCHING_IOU, BoardComparison
from copperline.inspection import Verdict
from copperline.model_info import OperatingPoint
from copperline.taxonomy import Call, Taxonomy

_SHELF_BYTES = 1_000_000_000  # a pair of whole-panel scans is 540 MB


def page() -> None:
    """Draws the page."""
    st.markdown(
        "Put an image through a model, as an inspection would. **Nothing is recorded**: no figure anywhere counts it."
    )
    with st.container(border=True):
        images, model = st.columns([3, 1], gap="medium")
        with model:
            choice = choose_model()
        with images:
            source = choose_source()
    if source is not None:
        _result(source, choice)


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf[LabTrial]:
    return Shelf(_SHELF_BYTES)


@st.fragment
def _result(source: LabSource, choice: ModelChoice) -> None:
    """By itself, so that a moved slider draws this part only, from what the network has said before."""
    try:
        done = _tried(source, choice)
        _show(source, done)
    except CopperlineError as error:
        show_failure(error)


def _tried(source: LabSource, choice: ModelChoice) -> LabTrial:
    """From the shelf, else by running the network, with a bar where that takes long."""
    place = st.empty()  # even if nothing comes into it: the elements after it keep their places
    key = (source.key, choice.name, choice.identity)
    known = _shelf().find(key)
    if known is not None:
        return known
    bar = place.progress(0.0, f"Reading {plain(source.name)}")

    def progress(done: int, total: int) -> None:
        bar.progress(done / total, f"Inspecting in tiles: {done:,} of {total:,} done, {total - done:,} left")

    try:
        detector = load_detector(choice)
        board = source.load()
        bar.progress(0.0, "Inspecting")
        return _shelf().get(key, lambda: run_trial(detector, board, progress))
    finally:
        place.empty()


def _show(source: LabSource, done: LabTrial) -> None:
    taxonomy = display_taxonomy(done.detector.taxonomy, session.settings().taxonomy)
    head = st.container()
    picture, side = st.columns([3, 2], gap="medium")
    with side:
        point = choose_thresholds(done.detector, done.trial.floor)
        verdict = done.trial.verdict(point)
        compared = done.compared(verdict)
        classes = st.pills(
            "Classes shown",
            taxonomy.names,
            selection_mode="multi",
            key="classes",
            wrap=True,
            help="None chosen: all. This hides boxes; the call stays as it is.",
        )
        with_truth = done.truth() is not None and st.toggle("Ground truth (dashed)", value=True, key="truth")
    with head:
        _verdict(done, verdict, compared, point)
    rows = tuple(
        row
        for row in finding_rows(verdict.detections, taxonomy, done.truth(), compared)
        if (not classes or row.defect_class in classes) and (with_truth or not row.missed)
    )
    with side:
        selected = _table(rows, verdict, with_truth=compared is not None)
        _downloads(done, verdict, point, taxonomy, with_truth)
    with picture:
        _picture(source, done, rows, taxonomy, selected, classes, with_truth)


def _verdict(done: LabTrial, verdict: Verdict, compared: BoardComparison | None, point: OperatingPoint) -> None:
    call, defects, latency, registration, truth = st.columns([1.5, 1, 1, 1.2, 1.5])
    with call:
        _call(done, verdict)
    with defects:
        figure(
            "Defects",
            None if verdict.call is Call.WITHHELD else f"{len(verdict.detections):,}",
            "Detections on this board at or above the threshold of their class; where several overlap by more than "
            f"half, the most confident. Thresholds: {plain(point.criterion)}.",
            key="lab-defects",
        )
    with latency:
        ms = verdict.latency_ms
        figure(
            "Latency",
            f"{ms:.0f} ms" if ms < 1e3 else f"{ms / 1e3:.1f} s",
            "Time from decoded images to what the network said: registration, network, decision, on this "
            "server, when these images were first tried. Reading the file is not in it.",
            key="lab-latency",
        )
    with registration:
        score, limit = verdict.registration_score, done.trial.policy.withheld_below
        figure(
            "Registration",
            None if score is None else f"{score:.2f}",
            "How surely test image and reference show the same board, 0 to 1: the mean of their concordance as a "
            f"whole (Lin) and of the concordance that nine in ten places reach. Below {limit:.2f} the call is "
            "WITHHELD. Without a reference it is not measured.",
            note=f"withheld below {limit:.2f}",
            key="lab-registration",
        )
    with truth:
        _truth_counts(done, compared)
    if verdict.call is Call.WITHHELD:
        st.warning(
            "**WITHHELD**: the reference does not match the image, so nothing is known of the board's defects. It may "
            "be another board's, or turned, mirrored or shifted too far. Give this board's own reference, or none.",
            icon=":material/help:",
        )


def _call(done: LabTrial, verdict: Verdict) -> None:
    show, icon = {
        Call.PASS: (st.success, ":material/check_circle:"),
        Call.FAIL: (st.error, ":material/cancel:"),
        Call.WITHHELD: (st.warning, ":material/help:"),
    }[verdict.call]
    board, model = plain(done.board.board_id), f"{plain(done.detector.name)} {plain(done.detector.version)}"
    show(f"## {verdict.call.value}\n{board}  \n{model}", icon=icon)


def _truth_counts(done: LabTrial, compared: BoardComparison | None) -> None:
    known = done.board.truth
    other = ""
    if known is not None and done.truth() is None:
        other = f"\n\nThe labels have other classes than the model: {plain(', '.join(known.taxonomy.names))}."
    figure(
        "Found / missed / false",
        None if compared is None else f"{compared.found} / {compared.missed} / {compared.false}",
        f"Found: labels that a detection of their class covers with an IoU of at least {MATCHING_IOU}. Missed: the "
        "other labels. False: detections that found no label of their class. A defect that is called by another "
        f"class's name is both missed and false. Without labels, or without a call, it is not measured.{other}",
        note=None if compared is None else f"of {len(compared.found_labels)} labelled defects",
        key="lab-truth",
    )


def _table(rows: tuple[FindingRow, ...], verdict: Verdict, *, with_truth: bool) -> int | None:
    """The detections; gives the index of the chosen row."""
    if not rows:
        if verdict.call is not Call.WITHHELD:
            st.info("Nothing to list at these thresholds and classes.", icon=":material/search_off:")
        return None
    columns: dict[str, list[object]] = {
        "class": [row.defect_class for row in rows],
        "severity": [row.severity for row in rows],
        "conf.": [row.confidence for row in rows],
    }
    if with_truth:
        columns["truth"] = [row.truth for row in rows]
    columns["box, px"] = [", ".join(f"{value:.0f}" for value in row.box) for row in rows]
    # Another list is another table: a row chosen in the last one means nothing in it.
    event = st.dataframe(
        columns,
        hide_index=True,
        placeholder="-",
        height=min(360, 38 * (len(rows) + 1)),
        column_config={"conf.": st.column_config.NumberColumn(format="%.2f")},
        on_select="rerun",
        selection_mode="single-row",
        key=f"found-{_digest(rows)}",
    )
    st.caption("Choose a row to zoom to it; choose it again to see the whole board.")
    chosen = event.selection.rows
    return chosen[0] if chosen and chosen[0] < len(rows) else None


def _picture(
    source: LabSource,
    done: LabTrial,
    rows: tuple[FindingRow, ...],
    taxonomy: Taxonomy,
    selected: int | None,
    classes: list[str],
    with_truth: bool,
) -> None:
    view = View(
        st.segmented_control(
            "View",
            [view.value for view in done.views],
            default=View.TEST.value,
            required=True,
            key="view",
            bind="query-params",
        )
        or View.TEST
    )
    window = None if selected is None else around(rows[selected].box, done.width, done.height)
    pictures = list(done.pictures_of(view))
    if window is not None and done.is_reduced and view is not View.BEFORE_AFTER:
        pictures.append(done.close_up(view, window))
    truth = done.truth() if with_truth else None
    if truth is not None and classes:
        truth = truth[[taxonomy[int(class_id)].name in classes for class_id in truth.class_ids]]
    scene = Scene(
        width=done.width,
        height=done.height,
        pictures=tuple(pictures),
        rows=rows,
        taxonomy=taxonomy,
        truth=truth,
        window=window,
        selected=selected,
        wipe=view is View.BEFORE_AFTER,
        revision=_digest(source.key, window),
    )
    show_board(scene, key="board-viewer")
    st.caption(_legend(done, view, with_truth))


def _legend(done: LabTrial, view: View, with_truth: bool) -> str:
    parts = ["Wheel or + and -: zoom. Drag or arrow keys: move. Double click or 0: whole board."]
    if view is View.DIFFERENCE:
        parts.append("Orange: lighter than the reference. Blue: darker.")
    if view is View.BEFORE_AFTER:
        parts.append("Left of the line: the registered reference. Right of it: the test image.")
    if with_truth:
        parts.append("Solid: found by the model. Dashed: ground truth, red if missed.")
    if done.is_reduced:
        parts.append(f"{done.width:,} x {done.height:,} px, shown reduced; a chosen row is shown pixel by pixel.")
    return " ".join(parts)


def _downloads(done: LabTrial, verdict: Verdict, point: OperatingPoint, taxonomy: Taxonomy, with_truth: bool) -> None:
    left, right = st.columns(2)
    left.download_button(
        "Picture (PNG)",
        lambda: done.png(verdict, taxonomy, labels=with_truth),
        file_name=f"{done.board.board_id}.png",
        mime="image/png",
        on_click="ignore",
        icon=":material/image:",
        width="stretch",
    )
    right.download_button(
        "Result (JSON)",
        lambda: done.json(point),
        file_name=f"{done.board.board_id}.json",
        mime="application/json",
        on_click="ignore",
        icon=":material/data_object:",
        width="stretch",
    )


def _digest(*parts: object) -> str:
    """The same text for the same parts, and nothing of them in it: paths of this server are not the browser's."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
