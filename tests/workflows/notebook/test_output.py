from __future__ import annotations

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from copperline.workflows.notebook import Picture, Table, per_cent


def pixels(picture: Picture) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded)


def test_a_picture_keeps_its_pixels_and_brings_its_words() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = (12, 34, 210)
    picture = Picture.of_image(image, "a red half")
    assert (pixels(picture) == image).all()
    png, metadata = picture._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert metadata == {"alt": "a red half", "width": 60}
    assert repr(picture) == "[Picture: a red half]"


def test_a_figure_is_shown_at_96_px_an_inch_and_is_as_dense_as_it_says() -> None:
    figure = Figure(figsize=(2, 1), dpi=160, facecolor="white")
    figure.add_subplot().plot([1, 2], [1, 2], color="#0000ff")
    picture = Picture.of_figure(figure, "a line")
    shown = pixels(picture)
    assert shown.shape == (160, 320, 3)
    assert picture.width == 192
    blue = (shown[..., 0] > 200) & (shown[..., 1] < 60) & (shown[..., 2] < 60)
    assert blue.sum() > 50
    assert Picture.of_figure(figure, "a line") == picture  # the same figure gives the same bytes


def test_a_table_is_text_and_html() -> None:
    table = Table(("class", "recall"), (("open <b>", "97.3 % (95.0 - 99.0)"), ("spur", "not measured")))
    assert repr(table) == (
        "class                   recall\nopen <b>  97.3 % (95.0 - 99.0)\nspur              not measured"
    )
    page = table._repr_html_()
    assert "open &lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count('text-align: right">97.3') == 1
    assert page.count('text-align: left">spur') == 1


def test_a_table_may_be_empty_but_not_ragged() -> None:
    assert repr(Table(("a", "b"), ())) == "a  b"
    with pytest.raises(ValueError, match="expected rows of 2 cells"):
        Table(("a", "b"), (("1",),))


def test_a_rate_comes_with_its_interval() -> None:
    assert per_cent(1.0, (0.9, 1.0)) == "100.0 % (90.0 - 100.0)"
    assert per_cent(None, (0.9, 1.0)) == "not measured"
