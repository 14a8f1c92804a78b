"""Pictures of inspected boards, read from where their rows say: whole, or cut out around a defect."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import streamlit as st

from copperline.dashboard.board_view import reduced
from copperline.data.images import Image, decode_image, encode_image
from copperline.detections import Detections, FloatArray
from copperline.errors import DataError, SettingsError, SnowflakeError, StageError
from copperline.evaluation.drawing import bgr, scaled, solid_box
from copperline.reference import Recipe, condition
from copperline.stage import location_of, read_bytes
from copperline.taxonomy import DefectClass, Severity, Taxonomy
from copperline.warehouse import DetectionRow

THUMBNAIL = 64
# Around a defect's box, as a share of its longer side: enough copper to see what it should be.
CONTEXT = 1.5
OTHER_COLOUR = "#8a8178"


def board_image(path: str | None, conditioning: str | None = None) -> Image | str:
    """(H, W) uint8 grey as the model saw it, or in words why there is none: files of old boards are often gone.

    `path` is as the row says: of this machine, a URL, or a place on a Snowflake stage. `conditioning` is the JSON text
    of the recipe that it went through; None: none.
    """
    if path is None:
        return "inspected without a reference"
    try:
        return _conditioned(path, conditioning)
    except (StageError, SnowflakeError) as error:  # not kept: the stage may answer a moment later
        return error.problem


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _conditioned(path: str, conditioning: str | None) -> Image | str:
    try:
        recipe = Recipe.from_json(conditioning)
        return condition(_read(path), recipe)
    except (DataError, SettingsError) as error:
        return error.problem


def board_picture(path: str | None) -> Image | str:
    """(H, W, 3) uint8 BGR as the camera took it, below two megapixels, or in words why there is none."""
    if path is None:
        return "inspected without a reference"
    try:
        image = _read(path)
    except (DataError, SettingsError, StageError, SnowflakeError) as error:
        return error.problem
    return reduced(image if image.ndim == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8))


def _read(path: str) -> Image:
    """(H, W) or (H, W, 3) uint8."""
    return decode_image(read_bytes(location_of(path)), path, bare_ok=True)


def cut_out(
    image: Image, box: tuple[float, float, float, float], size: int = THUMBNAIL, *, outline: str | None = None
) -> Image:
    """A square around a box, enlarged to `size` px, at the image's edges moved inwards.

    Args:
        image: (H, W) uint8.
        box: x_center, y_center, width, height as fractions of the image.
        outline: colour to draw the box in, `#rrggbb`; None: it is not drawn.

    Returns:
        (size, size, 3) uint8 BGR.
    """
    height, width = image.shape[:2]
    side = max(box[2] * width, box[3] * height)
    half = int(min(max((0.5 + CONTEXT) * side, 24), min(height, width) / 2))
    x = int(np.clip(box[0] * width, half, width - half))
    y = int(np.clip(box[1] * height, half, height - half))
    part = cv2.cvtColor(image[y - half : y + half, x - half : x + half], cv2.COLOR_GRAY2BGR)
    scale = size / part.shape[0]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    square = np.asarray(cv2.resize(part, (size, size), interpolation=how), dtype=np.uint8)
    if outline is not None:
        left, top = (box[0] - box[2] / 2) * width - x + half, (box[1] - box[3] / 2) * height - y + half
        corners = np.array([left, top, left + box[2] * width, top + box[3] * height])
        solid_box(square, scaled(corners, scale), bgr(outline))
    return square


def thumbnail_url(path: str, detection: DetectionRow | None, conditioning: str | None = None) -> str | None:
    """A small PNG of the board, around `detection` if there is one, as a data URL; None where the file is gone."""
    image = board_image(path, conditioning)
    if isinstance(image, str):
        return None
    part = cut_out(image, (0.5, 0.5, 0.4, 0.4) if detection is None else detection.box)
    return "data:image/png;base64," + base64.b64encode(encode_image(part, ".png")).decode("ascii")


def as_detections(rows: tuple[DetectionRow, ...], taxonomy: Taxonomy, width: int, height: int) -> Detections:
    """The rows as Detections in px of an image; `taxonomy` must know their classes (`taxonomy_for`)."""
    boxes = np.array([row.box for row in rows], dtype=np.float32).reshape(-1, 4)
    boxes *= np.array([width, height, width, height], dtype=np.float32)
    corners: FloatArray = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    ids = [taxonomy.by_name(row.defect_class).id for row in rows]
    return Detections.of(corners, ids, [row.confidence for row in rows])


def taxonomy_for(rows: tuple[DetectionRow, ...], taxonomy: Taxonomy) -> Taxonomy:
    """The factory's taxonomy, with classes of older models added in grey."""
    others = sorted({row.defect_class for row in rows} - set(taxonomy.names))
    added = [
        DefectClass(len(taxonomy) + position, name, Severity.MAJOR, OTHER_COLOUR)
        for position, name in enumerate(others)
    ]
    return replace(taxonomy, classes=(*taxonomy.classes, *added))
