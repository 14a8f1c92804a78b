"""The pictures of one inspection as the model saw them: conditioned by its recipe, the reference registered."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.board_pictures import as_detections, board_image, board_picture, taxonomy_for
from copperline.dashboard.failures import plain
from copperline.dashboard.recipe_words import recipe_words
from copperline.data.images import Image
from copperline.errors import NotFoundError
from copperline.evaluation import draw_detections
from copperline.reference import register
from copperline.taxonomy import Call
from copperline.warehouse import InspectionTrace, get_reference

CALL_LOOK = {
    Call.PASS: (":material/check_circle:", "blue"),
    Call.FAIL: (":material/cancel:", "red"),
    Call.WITHHELD: (":material/help:", "orange"),
}


@dataclass(frozen=True, slots=True)
class Pictures:
    """(H, W) uint8 each, the reference registered to the test image; a text says why there is none."""

    test: Image | str
    reference: Image | str


def pictures_of(inspection: InspectionTrace) -> Pictures:
    """Read from where the row says, and conditioned as the row says.

    A reference of another size is told of and not shown beside.
    """
    recipe = inspection.conditioning
    test, reference = board_image(inspection.image_path, recipe), board_image(inspection.reference_path, recipe)
    if isinstance(test, str) or isinstance(reference, str):
        return Pictures(test, reference)
    if test.shape != reference.shape:
        return Pictures(test, "the reference has another size now")
    return Pictures(test, register(test, reference).reference)


def reference_words(inspection: InspectionTrace) -> str | None:
    """Which golden image of the library it was compared with; None: it was of no library."""
    if inspection.reference_id is None:
        return None
    try:
        found = get_reference(session.engine(), inspection.reference_id)
    except NotFoundError:
        return f"{inspection.reference_id}, which the library does not have any more"
    revision = f", revision {found.revision}" if found.revision else ""
    retired = "" if found.retired_at is None else ", out of use now"
    return f"{found.product_type}{revision}, version {found.version}{retired}"


def call_badge(call: Call) -> None:
    """The machine's call, as a word, a sign and a colour."""
    icon, colour = CALL_LOOK[call]
    st.badge(call.value, icon=icon, color=colour)  # type: ignore[arg-type]


def show_pictures(inspection: InspectionTrace, pictures: Pictures) -> None:
    """Test image with its detections, beside the reference; below, if they were conditioned, how."""
    left, right = st.columns(2)
    taxonomy = taxonomy_for(inspection.detections, session.settings().taxonomy)
    seen = ", as the model saw it" if inspection.conditioning else ""
    with left:
        if isinstance(pictures.test, str):
            st.info(f"No test image: {plain(pictures.test)}.", icon=":material/image_not_supported:")
        else:
            height, width = pictures.test.shape
            boxes = as_detections(inspection.detections, taxonomy, width, height)
            drawn = draw_detections(pictures.test, boxes, taxonomy)
            st.image(drawn, channels="BGR", caption=f"Inspected board{seen}", width="stretch")
    with right:
        if isinstance(pictures.reference, str):
            st.info(f"No reference: {plain(pictures.reference)}.", icon=":material/image_not_supported:")
        else:
            st.image(pictures.reference, caption=f"Reference, registered{seen}", width="stretch")
    if inspection.conditioning:
        _as_taken(inspection)


def _as_taken(inspection: InspectionTrace) -> None:
    """The recipe in words, and on demand both images as the camera took them."""
    st.caption(f"Conditioning of both images: {plain(recipe_words(inspection.conditioning))}.")
    if not st.toggle("Show the images as the camera took them", key=f"raw-{inspection.inspection_id}"):
        return
    named = {"Inspected board": inspection.image_path, "Reference, not registered": inspection.reference_path}
    for column, (name, path) in zip(st.columns(2), named.items(), strict=True):
        with column:
            image = board_picture(path)
            if isinstance(image, str):
                st.info(f"{name}: {plain(image)}.", icon=":material/image_not_supported:")
            else:
                st.image(image, channels="BGR", caption=f"{name}, as the camera took it", width="stretch")
