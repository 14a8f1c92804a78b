from __future__ import annotations

import pytest

pytest.importorskip("plotly")

from copperline.dashboard.charts_structure import WIDTH, structure_figure
from copperline.dashboard.structure import Package, layers, packages

INK = "#123456"
FOUND = {
    "top": Package("top", "Uses all", frozenset({"left", "base"})),
    "left": Package(
        "left",
        "Stands left of the other one, and has a rather long purpose that takes more lines" * 2,
        frozenset({"base"}),
    ),
    "right": Package("right", "Right", frozenset()),
    "base": Package("base", "For all", frozenset()),
}
ROWS = {"Doors": ("top",), "Middle": ("left", "right"), "Words": ("base",)}


def boxes(chosen: str | None = None) -> dict[str, object]:
    """Package -> its box; they are drawn row by row."""
    names = [name for names in ROWS.values() for name in names]
    return dict(zip(names, structure_figure(FOUND, ROWS, chosen, INK).layout.shapes, strict=True))


def test_rows_lie_below_each_other_and_boxes_beside() -> None:
    found = boxes()
    assert found["top"].y1 < found["left"].y0
    assert found["left"].y1 < found["base"].y0
    assert (found["left"].y0, found["left"].y1) == (found["right"].y0, found["right"].y1)
    assert found["left"].x1 < found["right"].x0
    assert all(0 < box.x0 < box.x1 <= WIDTH for box in found.values())


def test_each_text_is_in_its_box_and_in_the_pages_ink() -> None:
    figure = structure_figure(FOUND, ROWS, None, INK)
    texts = {note.text: note for note in figure.layout.annotations}
    assert {"Doors", "Middle", "Words", "<b>right</b><br>Right"} <= set(texts)
    assert {note.font.color for note in texts.values()} == {INK}
    left = next(note for text, note in texts.items() if text.startswith("<b>left</b>"))
    lines = left.text.split("<br>")
    box = boxes()["left"]
    assert len(lines) > 3
    assert len(lines) * 17 <= box.y1 - box.y0
    assert max(len(line) for line in lines[1:]) * 6.9 <= box.x1 - box.x0


def test_a_chosen_package_its_imports_and_its_importers_stand_out() -> None:
    found = boxes("left")
    looks = {name: (box.fillcolor, box.line.dash) for name, box in found.items()}
    assert len(set(looks.values())) == 4  # chosen, imported, importer, other
    assert looks["top"][1] == "dash"
    assert {box.fillcolor for box in boxes().values()} == {boxes()["top"].fillcolor}  # nothing chosen: all alike


def test_hovering_says_who_imports_whom() -> None:
    (hover,) = structure_figure(FOUND, ROWS, None, INK).data
    assert list(hover.hovertext)[:2] == [
        "<b>top</b><br>imports base, left<br>is imported by nothing",
        "<b>left</b><br>imports base<br>is imported by top",
    ]


def test_the_real_structure_can_be_drawn() -> None:
    found = packages()
    figure = structure_figure(found, layers(found), "inspection", INK)
    assert len(figure.layout.shapes) == len(found)
    assert figure.layout.height < 1400  # a page and no more
