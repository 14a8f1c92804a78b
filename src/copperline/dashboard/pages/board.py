"""Board: everything that is known of one board. Other pages link to it; it is not in the menu."""

from __future__ import annotations

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.failures import empty_state, plain
from copperline.dashboard.inspection_pictures import call_badge, pictures_of, reference_words, show_pictures
from copperline.dashboard.judging import judge
from copperline.dashboard.operating_points import operating_point
from copperline.dashboard.recipe_words import recipe_words
from copperline.dashboard.traced import NOT_MEASURED
from copperline.taxonomy import Disposition
from copperline.warehouse import BoardTrace, DispositionRow, InspectionTrace, trace_board


def page() -> None:
    """Draws the page of the board that the URL names: `board?board=ID`."""
    board_id = st.text_input(
        "Board", key="board", bind="query-params", placeholder="Its serial number", label_visibility="collapsed"
    )
    if not board_id:
        empty_state("Which board?", next_step="Open a board from a list on another page, or give its number above.")
        return
    trace = trace_board(session.engine(), board_id)
    _metadata(trace)
    for turn, inspection in enumerate(trace.inspections):
        latest = turn == 0
        at = inspection.inspected_at.astimezone(session.time_zone())
        title = f"{at:%Y-%m-%d %H:%M:%S %Z}: {inspection.call.value}" + (", the latest" if latest else "")
        with st.expander(title, expanded=latest):
            _inspection(inspection, turn)


def _metadata(trace: BoardTrace) -> None:
    st.header(plain(trace.board_id), anchor=False)
    if trace.source == "simulated":
        st.info("Simulated: line, product or times of this board are made up.", icon=":material/science:")
    made = "unknown" if trace.manufacturing_date is None else f"{trace.manufacturing_date:%Y-%m-%d}"
    facts = {"line": trace.line_id, "product": trace.product_type, "panel": trace.panel_id, "made": made}
    st.caption(", ".join(f"{name}: {plain(value or 'unknown')}" for name, value in facts.items()))


def _inspection(inspection: InspectionTrace, turn: int) -> None:
    """Draws an inspection; `turn` 0 is the latest, which alone can be judged."""
    call_badge(inspection.call)
    pictures = pictures_of(inspection)
    show_pictures(inspection, pictures)
    if turn == 0:
        with st.expander("Judge this board"):
            if judge(inspection, pictures, session.user_name(), skippable=False):
                st.rerun()
    zone = session.time_zone()
    st.container(key=f"table-detections-{turn}").dataframe(
        [
            {
                "class": d.defect_class,
                "confidence": d.confidence,
                **_place(d.box),
                "review": d.disposition or "not reviewed",
            }
            for d in inspection.detections
        ],
        key=f"detections-{inspection.inspection_id}",
        hide_index=True,
        placeholder="-",
    )
    if inspection.dispositions:
        st.markdown("**Dispositions**")
        st.container(key=f"table-dispositions-{turn}").dataframe(
            [
                {
                    "decided": d.decided_at.astimezone(zone).replace(tzinfo=None),
                    "reviewer": d.reviewer,
                    "disposition": d.disposition.value,
                    "of": _judged(d),
                    "corrected class": d.corrected_class or "",
                    **_place(d.box),
                    "note": d.note or "",
                }
                for d in inspection.dispositions
            ],
            key=f"said-{inspection.inspection_id}",
            hide_index=True,
            column_config={
                "decided": st.column_config.DatetimeColumn(
                    f"decided ({session.settings().time_zone})", format="YYYY-MM-DD HH:mm:ss"
                )
            },
        )
    _trace(inspection, turn)


def _trace(inspection: InspectionTrace, turn: int) -> None:
    """What an auditor asks for: which images, which model, which thresholds."""
    point = operating_point(inspection.operating_point)
    facts = {
        "inspection": inspection.inspection_id,
        "station": inspection.station_id,
        "model": f"{inspection.model_name} {inspection.model_version}",
        "thresholds": ", ".join(f"{name} {value:.2f}" for name, value in point.thresholds.items()),
        "test image": inspection.image_path,
        "test image's SHA-256": inspection.image_sha256,
        "reference": inspection.reference_path or "none",
        "reference's SHA-256": inspection.reference_sha256 or "none",
        "reference of the library": reference_words(inspection) or "none",
        "reference's id": inspection.reference_id or "none",
        "conditioning of both images": recipe_words(inspection.conditioning),
        "registration score": _number(inspection.registration_score),
        "brightness": _number(inspection.brightness),
        "contrast": _number(inspection.contrast),
        "latency": f"{inspection.latency_ms:.1f} ms",
        "review found": inspection.verdict or "not reviewed",
    }
    st.container(key=f"table-trace-{turn}").dataframe(
        [{"": name, "value": value} for name, value in facts.items()],
        key=f"trace-{inspection.inspection_id}",
        hide_index=True,
        height="content",
    )
    st.caption(f"The operating point was chosen for: {plain(point.criterion)}.")


def _judged(said: DispositionRow) -> str:
    if said.inference_id is not None:
        return f"detection {said.inference_id}"
    return "missed defect" if said.disposition is Disposition.ESCAPE and said.box is not None else "whole board"


def _place(box: tuple[float, float, float, float] | None) -> dict[str, str]:
    """A box in fractions of the image, in two columns."""
    if box is None:
        return {"centre x, y": "", "width, height": ""}
    return {"centre x, y": f"{box[0]:.4f}, {box[1]:.4f}", "width, height": f"{box[2]:.4f}, {box[3]:.4f}"}


def _number(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.3f}"
