"""Vision Lab's controls: which images, which model, which thresholds. What is chosen stays in the page's address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.failures import empty_state, plain, show_failure
from copperline.dashboard.lab_models import ModelChoice, model_choices, shipped_choices
from copperline.dashboard.lab_sources import (
    LabSource,
    inspected_source,
    is_gone,
    stage_source,
    synthetic_source,
    upload_source,
)
from copperline.data import BoardDataset
from copperline.data.images import IMAGE_SUFFIXES, MAX_SIDE
from copperline.data.store import DATASET_FILE, load_saved, saved_datasets
from copperline.errors import ModelError, WarehouseError
from copperline.inspection import Detector
from copperline.model_info import OperatingPoint
from copperline.settings import Settings
from copperline.warehouse import BoardFilter, BoardRow, list_boards
from copperline.workspace import Workspace

_LATEST = 100
_SIZES = (320, 640, 1280)
_MODELS_SECONDS = 10  # how long a promotion may stay unseen


def choose_source() -> LabSource | None:
    """The images; None while there are none, and then the page has said what to do."""
    pages: dict[str, Callable[[], LabSource | None]] = {
        "Upload": _upload,
        "Data sets": _stage,
        "Inspected lately": _inspected,
        "Synthetic board": _synthetic,
    }
    chosen = st.segmented_control(
        "Images", list(pages), default="Upload", required=True, key="source", bind="query-params"
    )
    return pages[chosen or "Upload"]()


def choose_model() -> ModelChoice:
    """Any model of this plant; the address keeps the alias, so `champion` stays the champion."""
    try:
        choices = _model_choices(session.settings())
    except ModelError as error:
        show_failure(error)
        choices = shipped_choices()
    by_name = {choice.name: choice for choice in choices}
    chosen = by_name[st.selectbox("Model", list(by_name), key="model", bind="query-params")]
    if chosen.stands_in:
        st.caption("No model is registered yet, so the shipped model builtin:deeppcb stands in for the champion.")
    elif chosen.label != chosen.name:
        st.caption(plain(chosen.label))
    return chosen


def load_detector(choice: ModelChoice) -> Detector:
    """Kept for all visitors; raises ModelError if the model's file is missing or damaged."""
    return _detector(choice.name, choice.identity)


def choose_thresholds(detector: Detector, floor: float) -> OperatingPoint:
    """The model's own operating point, or one confidence for all classes.

    Args:
        floor: the lowest confidence that there is anything to show for.
    """
    own, one = "Operating point", "One confidence"
    chosen = st.segmented_control(
        "Thresholds", [own, one], default=own, required=True, key="thresholds", bind="query-params"
    )
    if chosen == one:
        confidence = st.slider("Confidence", 0.05, 1.0, 0.5, 0.01, key="confidence", bind="query-params")
        return OperatingPoint.uniform(detector.taxonomy, max(floor, confidence))
    point = detector.operating_point
    st.caption(", ".join(f"{plain(name)} {value:.2f}" for name, value in point.thresholds.items()))
    return point


def _upload() -> LabSource | None:
    left, right = st.columns(2)
    kinds = sorted(IMAGE_SUFFIXES)
    test = left.file_uploader("Test image", type=kinds, key="upload-test")
    reference = right.file_uploader("Reference of the same board (optional)", type=kinds, key="upload-reference")
    if test is None:
        empty_state(
            "No image yet",
            next_step="Give a test image, and its golden reference if there is one: with it the model finds more, and "
            f"the page can say whether the two are the same board. JPEG, PNG, BMP, TIFF, PGM or PPM, up to "
            f"{MAX_SIDE:,} px a side. Or choose *Synthetic board* above to see how it works.",
        )
        return None
    pair = None if reference is None else (reference.name, reference.getvalue)
    key = (test.file_id, None if reference is None else reference.file_id)
    return upload_source(key, (test.name, test.getvalue), pair)


def _stage() -> LabSource | None:
    folders = saved_datasets(Workspace(session.settings()).datasets)
    if not folders:
        empty_state(
            "No data set yet",
            next_step="Boards with their ground truth appear here once a data set is in the workspace.",
            command="copperline data import /path/to/DeepPCB/PCBData",
        )
        return None
    left, middle, right = st.columns(3)
    by_name = {folder.name: folder for folder in folders}
    dataset = _dataset(by_name[left.selectbox("Data set", list(by_name), key="dataset", bind="query-params")])
    splits = ["all", *dict.fromkeys(pair.split for pair in dataset)]
    split = middle.selectbox("Split", splits, key="split", bind="query-params")
    boards = {pair.board_id: pair for pair in dataset if split in ("all", pair.split)}
    pair = boards[right.selectbox("Board", list(boards), key="board", bind="query-params")]
    reference = "with reference" if pair.reference_path is not None else "without reference"
    st.caption(
        f"{len(boards):,} boards. This one: split {pair.split}, group {plain(pair.board_group)}, {reference}, "
        f"{len(pair.labels)} labelled defects."
    )
    return stage_source(pair, dataset.taxonomy)


def _inspected() -> LabSource | None:
    try:
        rows = list_boards(session.engine(), BoardFilter(), limit=_LATEST)
    except WarehouseError as error:
        show_failure(error)
        return None
    if not rows:
        empty_state(
            "No board inspected yet",
            next_step="The latest inspections appear here, with their images as long as the files are there.",
            command="copperline inspect board_test.jpg --reference board_temp.jpg",
        )
        return None
    by_label = {_label(row): row for row in rows}
    row = by_label[st.selectbox("Inspection", list(by_label), key="inspection", bind="query-params")]
    st.caption(
        f"Called {row.call.value} by {plain(row.model_name)} {plain(row.model_version)}, {row.defects} defects. "
        "Here its files are inspected anew, as they are now."
    )
    if is_gone(row):
        st.warning(
            f"The image files of this inspection are no longer where they were: {plain(row.image_path)}"
            + ("." if row.reference_path is None else f", {plain(row.reference_path)}."),
            icon=":material/folder_off:",
        )
        return None
    return inspected_source(row)


def _label(row: BoardRow) -> str:
    """Distinct, and the same for the same row whatever else was inspected since."""
    when = row.inspected_at.astimezone(session.time_zone())
    return f"{row.board_id} · {row.call.value} · {when:%Y-%m-%d %H:%M:%S} · {row.inspection_id[:8]}"


def _synthetic() -> LabSource:
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    seed = left.number_input("Seed", 0, 999_999, 7, key="seed", bind="query-params")
    size = middle.selectbox("Size, px", _SIZES, index=1, key="size", bind="query-params")
    defective = right.toggle("With defects", value=True, key="defective", bind="query-params")
    st.caption("Drawn, not scanned: no board of this plant. The ground truth is what was drawn into it.")
    return synthetic_source(int(seed), int(size or _SIZES[1]), defective=defective)


@st.cache_data(ttl=_MODELS_SECONDS, show_spinner=False)
def _model_choices(_settings: Settings) -> tuple[ModelChoice, ...]:
    return model_choices(_settings)


@st.cache_resource(max_entries=6, show_spinner="Loading the model")
def _detector(name: str, identity: str) -> Detector:
    return Detector.load(name, settings=session.settings())


def _dataset(folder: Path) -> BoardDataset:
    return _loaded(folder, (folder / DATASET_FILE).stat().st_mtime_ns)


@st.cache_resource(max_entries=4, show_spinner="Reading the data set")
def _loaded(folder: Path, changed: int) -> BoardDataset:
    return load_saved(folder)[0]
