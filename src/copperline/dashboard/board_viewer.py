"""The board's viewer: picture, boxes and ground truth, with zoom and pan that survive a moved slider.

Streamlit has no such element: its charts start anew, with their zoom lost, whenever what they show changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from copperline.dashboard.board_view import FindingRow, Picture
from copperline.detections import Detections
from copperline.taxonomy import Taxonomy

HEIGHT = 740  # px on the page, at most
# More tags than this hide the board; the boxes still say what they are under the pointer.
MOST_TAGS = 60
_TRUTH_COLOUR = "#3a3027"
_MISSED_COLOUR = "#c2002f"
_SELECTED_COLOUR = "#00a3c7"
_HERE = Path(__file__).parent
_HTML = """
<div class="board">
  <div class="stage" tabindex="0"><svg role="img"></svg><div class="tags"></div></div>
  <div class="bar">
    <button name="in" aria-label="Zoom in">+</button>
    <button name="out" aria-label="Zoom out">-</button>
    <button name="whole">Whole board</button>
    <button name="mark" aria-pressed="false">Mark a defect</button>
    <label>Reference <input type="range" min="0" max="100" value="50" aria-label="Reference against test"> Test</label>
  </div>
</div>
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn.

    Attributes:
        width, height: of the test image in px; all boxes are in them, however small the picture is.
        pictures: drawn one upon the other, the first one whole.
        rows: detections and missed labels, as in the table.
        taxonomy: names and colours of the classes.
        truth: labels; None where there are none, or where they are not to be shown.
        window: x1, y1, x2, y2 in px, what is seen at first; None: all.
        selected: index in `rows`.
        wipe: two pictures; a slider in the viewer shows the first one on the left, the second on the right.
        revision: while it stays the same, so does the visitor's zoom.
        mark: x1, y1, x2, y2 in px, a box that the visitor drew.
    """

    width: int
    height: int
    pictures: tuple[Picture, ...]
    rows: tuple[FindingRow, ...]
    taxonomy: Taxonomy
    truth: Detections | None = None
    window: tuple[int, int, int, int] | None = None
    selected: int | None = None
    wipe: bool = False
    revision: str = ""
    mark: tuple[float, float, float, float] | None = None


def show_board(scene: Scene, *, key: str, on_mark: Callable[[], None] | None = None) -> None:
    """Draws the viewer.

    Args:
        key: of the viewer in the session.
        on_mark: lets the visitor draw a box, and is called before the next run of the page when they did; what they
            drew is `marked(key)`.
    """
    markable = on_mark is not None
    listeners = {"on_mark_change": on_mark} if markable else {}
    _component()(key=key, data={**viewer_data(scene), "markable": markable}, height="content", **listeners)


def marked(key: str) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 in px of the box that was drawn last in the viewer `key`; None: none was."""
    box = (st.session_state.get(key) or {}).get("mark")
    return None if box is None else tuple(int(value) for value in box)  # type: ignore[return-value]


def viewer_data(scene: Scene) -> dict[str, Any]:
    """The scene as the browser gets it: plain JSON. Boxes are in the order in which they are drawn."""
    return {
        "width": scene.width,
        "height": scene.height,
        "pictures": [
            {"href": part.uri, "x": part.x, "y": part.y, "width": part.width, "height": part.height}
            for part in scene.pictures
        ],
        "boxes": [*_truth(scene), *_found(scene), *_missed(scene), *_selected(scene), *_mark(scene)],
        "window": list(scene.window or (0, 0, scene.width, scene.height)),
        "wipe": scene.wipe,
        "revision": scene.revision,
        "alt": _alt(scene),
    }


def _truth(scene: Scene) -> list[dict[str, Any]]:
    """A little outside the detections' boxes, so that neither hides the other."""
    if scene.truth is None:
        return []
    return [
        _box(box, "truth", _TRUTH_COLOUR, margin=5, title=f"ground truth: {scene.taxonomy[int(class_id)].name}")
        for box, class_id in zip(scene.truth.boxes.tolist(), scene.truth.class_ids, strict=True)
    ]


def _found(scene: Scene) -> list[dict[str, Any]]:
    """The most confident last, on top."""
    rows = [row for row in scene.rows if not row.missed]
    boxes = []
    for i, row in enumerate(rows):
        confidence = row.confidence or 0.0
        title = f"{row.defect_class}, {row.severity}\nconfidence {confidence:.2f}"
        tag = f"{row.defect_class} {100 * confidence:.0f}" if i < MOST_TAGS else ""
        colour = scene.taxonomy.by_name(row.defect_class).colour
        boxes.append(_box(row.box, "found", colour, title=f"{title}\n{row.truth}".strip(), tag=tag))
    return boxes[::-1]


def _missed(scene: Scene) -> list[dict[str, Any]]:
    rows = [row for row in scene.rows if row.missed]
    texts = [f"missed {row.defect_class}" for row in rows]
    return [
        _box(row.box, "missed", _MISSED_COLOUR, margin=5, title=text, tag=text if i < MOST_TAGS else "")
        for i, (row, text) in enumerate(zip(rows, texts, strict=True))
    ]


def _selected(scene: Scene) -> list[dict[str, Any]]:
    if scene.selected is None:
        return []
    return [_box(scene.rows[scene.selected].box, "selected", _SELECTED_COLOUR, margin=10)]


def _mark(scene: Scene) -> list[dict[str, Any]]:
    return [] if scene.mark is None else [_box(scene.mark, "selected", _SELECTED_COLOUR, title="marked")]


def _box(
    box: Sequence[float], style: str, colour: str, *, margin: int = 0, title: str = "", tag: str = ""
) -> dict[str, Any]:
    """`margin`: px on the screen by which it is drawn larger; `ink`: of the tag."""
    corners = [round(value, 2) for value in box]
    parts = {"box": corners, "style": style, "colour": colour, "margin": margin}
    return {**parts, "title": title, "tag": tag, "ink": _ink_on(colour)}


def _alt(scene: Scene) -> str:
    """For those who hear the page."""
    found = [row.defect_class for row in scene.rows if not row.missed]
    missed = len(scene.rows) - len(found)
    said = ", ".join(f"{found.count(name)} {name}" for name in dict.fromkeys(found)) or "no defect"
    return f"Board of {scene.width} by {scene.height} px: {said}" + (f"; {missed} missed" if missed else "")


def _ink_on(colour: str) -> str:
    """Black or white, whichever contrasts more (luma of ITU-R BT.601).

    >>> _ink_on("#ffc400"), _ink_on("#4363d8")
    ('#000000', '#ffffff')
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    """Registered once a server: its script and style are files of the package."""
    script, style = ((_HERE / f"board_viewer.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return st.components.v2.component("copperline.board_viewer", html=_HTML, js=script, css=style)
