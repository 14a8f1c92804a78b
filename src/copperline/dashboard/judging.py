"""One inspected board before a reviewer: each detection beside its reference, and what they decide of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.board_pictures import cut_out, taxonomy_for
from copperline.dashboard.escape_marking import Marked, forget_marks, mark_missed, missed_defects
from copperline.dashboard.failures import plain
from copperline.dashboard.inspection_pictures import Pictures
from copperline.data.images import Image
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import DetectionRow, InspectionTrace, Judgement, record_dispositions

CROP = 220
# Of the frame around two crops, px: two stand side by side on a laptop's screen.
PAIR_WIDTH = 460
# C and R are Streamlit's own keys.
KEYS = {"confirm": "y", "false": "n", "escape": "e", "skip": "s"}
WORDS = {Disposition.CONFIRMED: "defect", Disposition.FALSE_CALL: "false call"}
ANOTHER = "another class"
NOTE_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class _Choice:
    """A button that decides the whole board."""

    disposition: Disposition
    label: str
    shortcut: str
    icon: str
    type: Literal["primary", "secondary"] = "secondary"
    hint: str | None = None


def judge(inspection: InspectionTrace, pictures: Pictures, reviewer: str, *, skippable: bool) -> bool:
    """Draws the reviewer's controls; writes what they decide.

    Args:
        reviewer: who decides.
        skippable: offer to leave the board for later.

    Returns:
        Whether the reviewer is done with it: decided, or skipped. Whoever marks a missed defect on a board whose
        detections still wait is not: the page is drawn anew, with the same board.
    """
    key = inspection.inspection_id
    if inspection.call is not Call.PASS and (told := missed_defects(inspection)):
        names = ", ".join(plain(said.corrected_class or "") for said in told)
        st.caption(f"Missed defects recorded so far: {names}. *False call* for the whole board takes them back.")
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
    marked = Marked([], to_record=False)
    if allowed and not isinstance(pictures.test, str):
        marked = mark_missed(inspection, pictures.test, note or None)
    if len(inspection.detections) > 0 and not isinstance(pictures.test, str):
        one_by_one = _judge_each(inspection, pictures, note, allowed=allowed)
        decided = one_by_one if one_by_one is not None else decided
    marks_alone = decided is None and marked.to_record
    if marks_alone:
        decided = marked.judgements
    elif decided is not None and inspection.call is Call.FAIL:
        # What is drawn and not yet recorded is recorded too, and after what is said of the whole board.
        decided = [*decided, *marked.judgements]
    if decided is not None:
        record_dispositions(session.writer(), decided, reviewer)
        forget_marks(key)
        st.toast(f"Recorded: {_summary(decided, inspection.call)}, by {plain(reviewer)}", icon=":material/save:")
    if marks_alone and _waits(inspection):
        st.rerun()
    return decided is not None or bool(skipped)


def _waits(inspection: InspectionTrace) -> bool:
    """Whether the detections of a board that was not passed still have to be judged, as the queue has it."""
    said = {detection.disposition for detection in inspection.detections}
    return inspection.call is not Call.PASS and None in said and said <= {None, Disposition.FALSE_CALL}


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
    choices: dict[str, Judgement | None] = {}
    taxonomy = taxonomy_for(inspection.detections, session.settings().taxonomy)
    with st.container(horizontal=True):
        for detection in inspection.detections:
            with st.container(border=True, width=PAIR_WIDTH):
                colour = taxonomy.by_name(detection.defect_class).colour
                st.image(_pair(pictures, detection, colour), channels="BGR", width="stretch")
                choices[detection.inference_id] = _choice(detection, note or None, allowed=allowed)
    chosen = [judgement for judgement in choices.values() if judgement is not None]
    save = st.button(
        f"Save {len(chosen)} of {len(choices)} decisions",
        disabled=not (allowed and chosen),
        icon=":material/save:",
        key=f"each-{inspection.inspection_id}",
        help="For boards where some detections are defects and others are not, or where the class is wrong.",
    )
    return chosen if save else None


def _choice(detection: DetectionRow, note: str | None, *, allowed: bool) -> Judgement | None:
    """Defect, false call, or a defect of another class; None while nothing, or no class, is chosen."""
    so_far = "" if detection.disposition is None else f", so far {WORDS.get(detection.disposition, 'escape')}"
    label = f"{plain(detection.defect_class)}, confidence {detection.confidence:.2f}{so_far}"
    key = detection.inference_id
    said = st.segmented_control(label, [*WORDS.values(), ANOTHER], key=f"judge-{key}", disabled=not allowed)
    if said is None:
        return None
    if said != ANOTHER:
        disposition = next(word for word, text in WORDS.items() if text == said)
        return Judgement(detection.inspection_id, disposition, key, note)
    others = [name for name in session.settings().taxonomy.names if name != detection.defect_class]
    is_really = st.selectbox(
        "It is", others, index=None, key=f"class-{key}", placeholder="Which class?", disabled=not allowed
    )
    if is_really is None:
        return None
    return Judgement(detection.inspection_id, Disposition.CONFIRMED, key, note, corrected_class=is_really)


def _pair(pictures: Pictures, detection: DetectionRow, colour: str) -> Image:
    """The detection's place in the test image and, right of it, in the reference; BGR."""
    assert not isinstance(pictures.test, str)
    parts = [cut_out(pictures.test, detection.box, CROP, outline=colour)]
    if not isinstance(pictures.reference, str):
        parts += [np.full((CROP, 8, 3), 128, dtype=np.uint8), cut_out(pictures.reference, detection.box, CROP)]
    return np.asarray(cv2.hconcat(parts), dtype=np.uint8)


def _summary(decided: list[Judgement], call: Call) -> str:
    missed = [one for one in decided if call is Call.FAIL and one.disposition is Disposition.ESCAPE]
    others = [one for one in decided if one not in missed]
    words = []
    if len(others) == 1 and others[0].inference_id is None:
        what = f", {plain(others[0].corrected_class)}" if others[0].corrected_class else ""
        words = [others[0].disposition.value + what]
    elif others:
        words = [f"{len(others)} decisions"]
    if len(missed) == 1:
        words.append(f"missed defect, {plain(missed[0].corrected_class or '')}")
    elif missed:
        words.append(f"{len(missed)} missed defects")
    return " and ".join(words)
