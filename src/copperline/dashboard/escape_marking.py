"""Defects that the machine did not report, marked by a reviewer: class and box, so that a model can learn them."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.board_pictures import as_detections, taxonomy_for
from copperline.dashboard.board_view import FindingRow, picture, reduced
from copperline.dashboard.board_viewer import Scene, marked, show_board
from copperline.data.images import Image
from copperline.taxonomy import Call, Disposition, Taxonomy
from copperline.warehouse import DispositionRow, InspectionTrace, Judgement, pixel_boxes

SIDES = ("left", "top", "width", "height")
PARTS = ("class", *SIDES)


@dataclass(frozen=True, slots=True)
class Mark:
    """A missed defect; `box` is left, top, width, height in px of the test image."""

    defect_class: str
    box: tuple[int, int, int, int]

    def judgement(self, inspection_id: str, note: str | None, width: int, height: int) -> Judgement:
        """As the warehouse keeps it: its box in fractions of an image of `width` x `height` px."""
        x, y, w, h = self.box
        box = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        return Judgement(inspection_id, Disposition.ESCAPE, note=note, corrected_class=self.defect_class, box=box)


@dataclass(frozen=True, slots=True)
class Marked:
    """What a reviewer has drawn so far.

    Attributes:
        judgements: an ESCAPE with class and box for each marked defect.
        to_record: whether they are to be written now, and then told to `forget_marks`.
    """

    judgements: list[Judgement]
    to_record: bool


def missed_defects(inspection: InspectionTrace) -> list[DispositionRow]:
    """The missed defects of a board that was not passed, as they were recorded, but for those taken back."""
    standing: list[DispositionRow] = []
    for said in inspection.dispositions:
        if said.inference_id is not None:
            continue
        if said.disposition is Disposition.ESCAPE and said.box is not None:
            standing.append(said)
        elif said.disposition is Disposition.FALSE_CALL:
            standing = []
    return standing


def mark_missed(inspection: InspectionTrace, test: Image, note: str | None) -> Marked:
    """Draws, once asked for, a viewer to draw boxes in, with class and numbers; gives what was drawn.

    Of a board that failed they are missed defects, not escapes: the machine did not let it go.

    Args:
        test: (H, W) uint8, as the model saw it.
    """
    key, failed = inspection.inspection_id, inspection.call is Call.FAIL
    word = "missed defect" if failed else "escape"
    _start_anew_if_recorded(key)
    if not st.toggle(
        "Mark a missed defect",
        key=_name(key, "toggle"),
        help=f"{'A defect beside those detected' if failed else 'An escape'}, with its class and place: a model can be "
        "trained on it.",
    ):
        return Marked([], to_record=False)
    height, width = test.shape
    earlier: list[Mark] = st.session_state.setdefault(_name(key, "marks"), [])
    current = _current(key, width, height)
    # Half a mark is not left out without a word.
    unfinished = current is None and any(st.session_state.get(_name(key, part)) is not None for part in PARTS)
    marks = [*earlier, *([current] if current else [])]
    with st.container(horizontal=True):
        record = st.button(
            f"Record as {word}: {len(marks)} marked",
            disabled=unfinished or not marks,
            type="primary",
            icon=":material/priority_high:",
            key=_name(key, "record"),
            help="A mark needs a class and a box." if unfinished else None,
        )
        st.button(
            "Mark another",
            disabled=current is None,
            icon=":material/add:",
            key=_name(key, "another"),
            on_click=_keep,
            args=(key, current),
        )
        if earlier:
            st.button(
                f"Forget the last of {len(earlier)}",
                icon=":material/undo:",
                key=_name(key, "forget"),
                on_click=_forget,
                args=(key,),
            )
    # Below what is pressed after it: a drag on the board must not be followed by a search for the button.
    _viewer(inspection, test, earlier)
    return Marked([mark.judgement(key, note, width, height) for mark in marks], to_record=record)


def forget_marks(inspection_id: str) -> None:
    """Once they are written: until then a database that is busy costs nobody what they drew."""
    st.session_state[_name(inspection_id, "recorded")] = True


def _start_anew_if_recorded(key: str) -> None:
    """At the start of a run, because what a widget holds cannot be changed after it was drawn."""
    if st.session_state.pop(_name(key, "recorded"), False):
        st.session_state[_name(key, "marks")] = []
        st.session_state[_name(key, "toggle")] = False
        st.session_state.update({_name(key, part): None for part in PARTS})


def _viewer(inspection: InspectionTrace, test: Image, earlier: list[Mark]) -> None:
    height, width = test.shape
    key, settings = inspection.inspection_id, session.settings()
    taxonomy = taxonomy_for(inspection.detections, settings.taxonomy)
    viewer = _name(key, "viewer")
    rows = [
        FindingRow(shown.name, shown.severity.value, None, _corners(mark.box), "", missed=True)
        for mark in earlier
        for shown in [taxonomy.by_name(mark.defect_class)]
    ]
    if inspection.call is Call.FAIL:  # what was found or told already is not missed
        rows = [*_found(inspection, taxonomy, width, height), *_told(inspection, taxonomy, width, height), *rows]
    box = _numbers(key)
    scene = Scene(
        width=width,
        height=height,
        pictures=(picture(reduced(test), width, height),),
        rows=tuple(rows),
        taxonomy=taxonomy,
        revision=viewer,
        mark=None if box is None else _corners(box),
    )
    show_board(scene, key=viewer, on_mark=lambda: _take_over(key, viewer))
    st.caption("Drag: draw a box around the defect. Wheel or + and -: zoom. Arrow keys: move.")


def _found(inspection: InspectionTrace, taxonomy: Taxonomy, width: int, height: int) -> list[FindingRow]:
    """The detections."""
    detections = as_detections(inspection.detections, taxonomy, width, height)
    return [
        FindingRow(row.defect_class, taxonomy.by_name(row.defect_class).severity.value, row.confidence, corners, "")
        for row, corners in zip(inspection.detections, map(_four, detections.boxes.tolist()), strict=True)
    ]


def _told(inspection: InspectionTrace, taxonomy: Taxonomy, width: int, height: int) -> list[FindingRow]:
    """The missed defects that somebody has recorded; those of a class that is none of this factory's are left out."""
    told = [(said.corrected_class, said.box) for said in missed_defects(inspection)]
    return [
        FindingRow(name, taxonomy.by_name(name).severity.value, None, _four(corners), "", missed=True)
        for name, box in told
        if name in taxonomy.names and name is not None and box is not None
        for corners in pixel_boxes([box], width, height).tolist()
    ]


def _four(corners: list[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = corners
    return x1, y1, x2, y2


def _current(key: str, width: int, height: int) -> Mark | None:
    """Class and numbers of the box; None while they are not complete."""
    columns = st.columns([2, 1, 1, 1, 1], vertical_alignment="bottom")
    with columns[0]:
        names = session.settings().taxonomy.names
        name = st.selectbox("Defect", names, index=None, key=_name(key, "class"), placeholder="Which class?")
    for column, side in zip(columns[1:], SIDES, strict=True):
        most = width if side in ("left", "width") else height
        with column:
            st.number_input(
                f"{side.capitalize()}, px",
                min_value=0 if side in ("left", "top") else 1,
                max_value=most,
                value=None,
                step=1,
                key=_name(key, side),
                placeholder="draw, or type",
            )
    box = _numbers(key)
    if name is None or box is None:
        return None
    x, y, w, h = box
    if x + w > width or y + h > height:
        st.warning(f"The box leaves the image of {width} x {height} px.", icon=":material/crop_free:")
        return None
    return Mark(name, box)


def _numbers(key: str) -> tuple[int, int, int, int] | None:
    x, y, w, h = (st.session_state.get(_name(key, side)) for side in SIDES)
    return None if x is None or y is None or w is None or h is None else (int(x), int(y), int(w), int(h))


def _take_over(key: str, viewer: str) -> None:
    """The box that was drawn becomes the numbers, which can still be changed."""
    box = marked(viewer)
    if box is not None:
        values = (box[0], box[1], box[2] - box[0], box[3] - box[1])
        st.session_state.update({_name(key, side): value for side, value in zip(SIDES, values, strict=True)})


def _keep(key: str, mark: Mark | None) -> None:
    """Puts the current mark among the earlier ones, and begins a new one."""
    if mark is not None:
        st.session_state[_name(key, "marks")].append(mark)
    st.session_state.update({_name(key, part): None for part in PARTS})


def _forget(key: str) -> None:
    st.session_state[_name(key, "marks")].pop()


def _corners(box: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    x, y, w, h = box
    return float(x), float(y), float(x + w), float(y + h)


def _name(key: str, part: str) -> str:
    return f"escape-{part}-{key}"
