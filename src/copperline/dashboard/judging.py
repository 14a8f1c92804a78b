"""One inspected board before a reviewer: pictures, each detection beside its reference, and what they decide of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.board_pictures import as_detections, board_image, cut_out, taxonomy_for
from copperline.dashboard.failures import plain
from copperline.data.images import Image
from copperline.evaluation import draw_detections
from copperline.reference import register
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import DetectionRow, InspectionTrace, Judgement, record_dispositions

CROP = 220
# Of the frame around two crops, px: two stand side by side on a laptop's screen.
PAIR_WIDTH = 460
CALL_LOOK = {
    Call.PASS: (":material/check_circle:", "blue"),
    Call.FAIL: (":material/cancel:", "red"),
    Call.WITHHELD: (":material/help:", "orange"),
}
# C and R are Streamlit's own keys.
KEYS = {"confirm": "y", "false": "n", "escape": "e", "skip": "s"}
WORDS = {Disposition.CONFIRMED: "defect", Disposition.FALSE_CALL: "false call"}
NOTE_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Pictures:
    """(H, W) uint8 each, the reference registered to the test image; a text says why there is none."""

    test: Image | str
    reference: Image | str


@dataclass(frozen=True, slots=True)
class _Choice:
    """A button that decides the whole board."""

    disposition: Disposition
    label: str
    shortcut: str
    icon: str
    type: Literal["primary", "secondary"] = "secondary"
    hint: str | None = None


def pictures_of(inspection: InspectionTrace) -> Pictures:
    """Read from where the row says. A reference of another size is told of and not shown beside."""
    test, reference = board_image(inspection.image_path), board_image(inspection.reference_path)
    if isinstance(test, str) or isinstance(reference, str):
        return Pictures(test, reference)
    if test.shape != reference.shape:
        return Pictures(test, "the reference has another size now")
    return Pictures(test, register(test, reference).reference)


def call_badge(call: Call) -> None:
    """The machine's call, as a word, a sign and a colour."""
    icon, colour = CALL_LOOK[call]
    st.badge(call.value, icon=icon, color=colour)  # type: ignore[arg-type]


def show_pictures(inspection: InspectionTrace, pictures: Pictures) -> None:
    """Test image with its detections, beside the reference."""
    left, right = st.columns(2)
    taxonomy = taxonomy_for(inspection.detections, session.settings().taxonomy)
    with left:
        if isinstance(pictures.test, str):
            st.info(f"No test image: {plain(pictures.test)}.", icon=":material/image_not_supported:")
        else:
            height, width = pictures.test.shape
            boxes = as_detections(inspection.detections, taxonomy, width, height)
            drawn = draw_detections(pictures.test, boxes, taxonomy)
            st.image(drawn, channels="BGR", caption="Inspected board", width="stretch")
    with right:
        if isinstance(pictures.reference, str):
            st.info(f"No reference: {plain(pictures.reference)}.", icon=":material/image_not_supported:")
        else:
            st.image(pictures.reference, caption="Reference, registered", width="stretch")


def judge(inspection: InspectionTrace, pictures: Pictures, reviewer: str, *, skippable: bool) -> bool:
    """Draws the reviewer's controls; writes what they decide.

    Args:
        reviewer: who decides.
        skippable: offer to leave the board for later.

    Returns:
        Whether the reviewer is done with it: decided, or skipped.
    """
    key = inspection.inspection_id
    allowed = session.may_write()
    note = st.text_input("Note", key=f"note-{key}", max_chars=NOTE_LENGTH, disabled=not allowed)
    pressed: Disposition | None = None
    with st.container(horizontal=True):
        for choice in _choices(inspection):
            if st.button(
                choice.label,
                shortcut=choice.shortcut,
                icon=choice.icon,
                type=choice.type,
                disabled=not allowed,
                key=f"{choice.shortcut}-{key}",
                help=choice.hint,
            ):
                pressed = choice.disposition
        skipped = skippable and st.button("Skip", shortcut=KEYS["skip"], icon=":material/skip_next:", key=f"s-{key}")
    if not allowed:
        st.caption("You may look, not decide: see About, or ask who runs this dashboard.")
    decided = None if pressed is None else [Judgement(key, pressed, note=note or None)]
    if len(inspection.detections) > 0 and not isinstance(pictures.test, str):
        one_by_one = _judge_each(inspection, pictures, note, allowed=allowed)
        decided = one_by_one if one_by_one is not None else decided
    if decided is not None:
        record_dispositions(session.writer(), decided, reviewer)
        st.toast(f"Recorded: {_summary(decided)}, by {plain(reviewer)}", icon=":material/save:")
    return decided is not None or bool(skipped)


def _choices(inspection: InspectionTrace) -> list[_Choice]:
    """What the whole board can be found to be, by its call."""
    escape = _Choice(
        Disposition.ESCAPE,
        "Escape: it is bad",
        KEYS["escape"],
        ":material/priority_high:",
        hint="A defect that the machine did not report.",
    )
    if inspection.call is Call.PASS:
        return [_Choice(Disposition.CONFIRMED, "Good, as called", KEYS["confirm"], ":material/thumb_up:"), escape]
    label = "Defect" if len(inspection.detections) <= 1 else "All are defects"
    found = [
        _Choice(Disposition.CONFIRMED, label, KEYS["confirm"], ":material/check:", type="primary"),
        _Choice(Disposition.FALSE_CALL, "False call", KEYS["false"], ":material/close:"),
    ]
    return found if inspection.call is Call.FAIL else [*found, escape]


def _judge_each(inspection: InspectionTrace, pictures: Pictures, note: str, *, allowed: bool) -> list[Judgement] | None:
    """Each detection cut out, beside the same place of the reference, with its own decision."""
    choices: dict[str, str | None] = {}
    taxonomy = taxonomy_for(inspection.detections, session.settings().taxonomy)
    with st.container(horizontal=True):
        for detection in inspection.detections:
            with st.container(border=True, width=PAIR_WIDTH):
                colour = taxonomy.by_name(detection.defect_class).colour
                st.image(_pair(pictures, detection, colour), channels="BGR", width="stretch")
                choices[detection.inference_id] = _choice(detection, allowed=allowed)
    chosen = [
        Judgement(
            inspection.inspection_id,
            next(word for word, text in WORDS.items() if text == said),
            inference_id,
            note or None,
        )
        for inference_id, said in choices.items()
        if said is not None
    ]
    save = st.button(
        f"Save {len(chosen)} of {len(choices)} decisions",
        disabled=not (allowed and chosen),
        icon=":material/save:",
        key=f"each-{inspection.inspection_id}",
        help="For boards where some detections are defects and others are not.",
    )
    return chosen if save else None


def _choice(detection: DetectionRow, *, allowed: bool) -> str | None:
    said = "" if detection.disposition is None else f", so far {WORDS.get(detection.disposition, 'escape')}"
    label = f"{plain(detection.defect_class)}, confidence {detection.confidence:.2f}{said}"
    return st.segmented_control(
        label, list(WORDS.values()), key=f"judge-{detection.inference_id}", disabled=not allowed
    )


def _pair(pictures: Pictures, detection: DetectionRow, colour: str) -> Image:
    """The detection's place in the test image and, right of it, in the reference; BGR."""
    assert not isinstance(pictures.test, str)
    parts = [cut_out(pictures.test, detection.box, CROP, outline=colour)]
    if not isinstance(pictures.reference, str):
        parts += [np.full((CROP, 8, 3), 128, dtype=np.uint8), cut_out(pictures.reference, detection.box, CROP)]
    return np.asarray(cv2.hconcat(parts), dtype=np.uint8)


def _summary(decided: list[Judgement]) -> str:
    if len(decided) == 1 and decided[0].inference_id is None:
        return decided[0].disposition.value
    return f"{len(decided)} decisions"
