"""The page with the real shipped model, on boards that are drawn here."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from copperline.dashboard.lab_sources import inspected_source
from copperline.data import BoardDataset, BoardPair
from copperline.data.images import Image, write_image
from copperline.data.pairs import SPLITS
from copperline.data.report import ImportReport
from copperline.data.store import save_dataset
from copperline.data.synthetic import synthetic_pair
from copperline.inspection import Detector, inspect_image
from copperline.line.inspector import LineInspector, Submission
from copperline.reference import Recipe
from copperline.registry import Registry, builtin_model, promote_model
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.warehouse import BoardFilter, list_boards, open_warehouse, write_inspection

Opened = Callable[..., AppTest]
UPLOADS = {"source": "Upload"}


def png(image: Image) -> bytes:
    encoded: bytes = cv2.imencode(".png", image)[1].tobytes()
    return encoded


def text_of(app: AppTest) -> str:
    """All that the page says, as it is read: without the marks that keep others' text from being markup."""
    parts = [*app.markdown, *app.caption, *app.error, *app.warning, *app.info, *app.success, *app.subheader]
    return "\n".join(part.value for part in parts).replace("\\", "")


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def upload(app: AppTest, test: bytes, reference: bytes | None = None, name: str = "b1_test.png") -> AppTest:
    app.file_uploader[0].upload(name, test, "image/png")
    if reference is not None:
        app.file_uploader[1].upload("b1_temp.png", reference, "image/png")
    app.run()
    assert not app.exception
    return app


@pytest.fixture(scope="module")
def pair() -> tuple[Image, Image]:
    test, reference, _ = synthetic_pair(7, 320)
    return test, reference


def test_a_synthetic_board_is_found_as_an_inspection_finds_it(open_page: Opened, workspace: Path) -> None:
    app = open_page("vision_lab", source="Synthetic board", seed="7", size="320")
    assert not app.exception
    test, reference, labels = synthetic_pair(7, 320)
    detector = Detector.load("builtin:deeppcb", settings=Settings(workspace=workspace))
    called = detector(test, reference)
    assert len(called) > 0
    assert "## FAIL" in app.error[0].value
    assert metrics(app)["Defects"] == str(len(called))
    assert metrics(app)["Found / missed / false"].startswith(f"{len(labels)} / 0 / ")
    assert "Nothing is recorded" in text_of(app)
    assert "stands in for the champion" in text_of(app)
    # Nothing is: not even a warehouse is made.
    assert not (workspace / "warehouse.db").exists()


def test_a_good_board_passes(open_page: Opened) -> None:
    app = open_page("vision_lab", source="Synthetic board", seed="7", size="320", defective="false")
    assert "## PASS" in app.success[0].value
    assert metrics(app)["Found / missed / false"] == "0 / 0 / 0"


def test_the_slider_calls_anew_without_the_network(open_page: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("vision_lab", source="Synthetic board", size="320", thresholds="One confidence")
    before = int(metrics(app)["Defects"])
    monkeypatch.setattr(Detector, "predict", None)  # would fail if it were called
    app.slider(key="confidence").set_value(1.0).run()
    assert not app.exception
    assert int(metrics(app)["Defects"]) == 0 < before


def test_hidden_classes_leave_the_call(open_page: Opened) -> None:
    app = open_page("vision_lab", source="Synthetic board", size="320")
    shown = app.dataframe[0].value
    one = shown["class"][0]
    app.button_group(key="classes").set_value([one]).run()
    assert set(app.dataframe[0].value["class"]) == {one}
    assert "## FAIL" in app.error[0].value


def test_an_upload_with_and_without_reference(open_page: Opened, pair: tuple[Image, Image]) -> None:
    test, reference = pair
    app = open_page("vision_lab", **UPLOADS)
    assert "No image yet" in text_of(app)
    upload(app, png(test))
    assert text_of(app).count("#### not measured") == 2
    app.file_uploader[1].upload("b1_temp.png", png(reference), "image/png")
    app.run()
    assert float(metrics(app)["Registration"]) > 0.8
    assert "## FAIL" in app.error[0].value


def test_a_wrong_reference_is_withheld_and_explained(open_page: Opened, pair: tuple[Image, Image]) -> None:
    app = upload(open_page("vision_lab", **UPLOADS), png(pair[0]), png(synthetic_pair(99, 320)[1]))
    assert "## WITHHELD" in app.warning[0].value
    assert "the reference does not match the image" in text_of(app)
    assert "Defects" not in metrics(app)


def huge_header(side: int) -> bytes:
    """A PNG that says it is `side` px, and has not one of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


BOARD = synthetic_pair(3, 320)[0]
BAD_IMAGES = {
    "text": (b"not an image at all", "found a file that is none of these"),
    "empty": (b"", "found an empty file"),
    "too large": (huge_header(30_000), "found 30,000 x 30,000"),
    "truncated": (cv2.imencode(".jpg", BOARD)[1].tobytes()[:4000], "truncated or damaged"),
    "tiny": (png(BOARD[:10, :10].copy()), "expected at least 32 pixels a side, found 10 x 10"),
    "blank": (png(np.full((320, 320), 200, np.uint8)), "is no board"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_a_bad_image_gets_a_clear_message(open_page: Opened, kind: str) -> None:
    data, said = BAD_IMAGES[kind]
    app = upload(open_page("vision_lab", **UPLOADS), data)
    assert said in text_of(app)
    assert "What to do" in text_of(app)
    assert not app.metric


def test_a_pair_of_two_sizes_is_refused(open_page: Opened, pair: tuple[Image, Image]) -> None:
    app = upload(open_page("vision_lab", **UPLOADS), png(pair[0]), png(pair[1][:200].copy()))
    assert "expected a reference of the test image's size 320 x 320, found 320 x 200" in text_of(app)


def test_a_file_name_is_no_markup(open_page: Opened, pair: tuple[Image, Image]) -> None:
    name = "**x** <script>alert(1) :red[y] [z](mailto:e).png"
    app = upload(open_page("vision_lab", **UPLOADS), png(pair[0]), name=name)
    said = app.error[0].value
    assert r"\<script\>" in said
    assert r"\*\*x\*\*" in said
    assert r"\:red\[y\]" in said
    assert r"\[z\]\(mailto" in said


def test_empty_places_say_what_to_do(open_page: Opened, workspace: Path) -> None:
    app = open_page("vision_lab", source="Data sets")
    assert "No data set yet" in text_of(app)
    assert app.code[0].value.startswith("copperline data import")
    # Without a warehouse, and with an empty one.
    app = open_page("vision_lab", source="Inspected lately")
    assert app.error
    assert not app.exception
    open_warehouse(Settings(workspace=workspace).warehouse).dispose()
    app = open_page("vision_lab", source="Inspected lately")
    assert "No board inspected yet" in text_of(app)


def test_a_board_of_a_data_set_has_its_ground_truth(open_page: Opened, workspace: Path, tmp_path: Path) -> None:
    pairs = []
    for seed in (7, 8):
        test, reference, labels = synthetic_pair(seed, 320)
        paths = [tmp_path / f"{seed}_{role}.png" for role in ("test", "temp")]
        for path, image in zip(paths, (test, reference), strict=True):
            write_image(path, image)
        pairs.append(BoardPair(f"B{seed}", "g", SPLITS[seed - 6], paths[0], paths[1], labels, 320, 320))
    folder = workspace / "datasets" / "boards"
    save_dataset(BoardDataset("boards", "here", tuple(pairs)), ImportReport(source="here", accepted=2), folder)
    app = open_page("vision_lab", source="Data sets", board="B8")
    assert not app.exception
    assert f"split test, group g, with reference, {len(pairs[1].labels)} labelled defects" in text_of(app)
    assert f"of {len(pairs[1].labels)} labelled defects" in text_of(app)
    (folder / "images" / "B8.png").unlink()
    app = open_page("vision_lab", source="Data sets", board="B8")
    assert not app.exception
    assert "cannot be read" in text_of(app) or "is missing" in text_of(app)


def test_an_inspected_board_is_tried_anew_or_said_to_be_gone(
    open_page: Opened, workspace: Path, tmp_path: Path, pair: tuple[Image, Image]
) -> None:
    paths = [tmp_path / "B1_test.png", tmp_path / "B1_temp.png"]
    for path, image in zip(paths, pair, strict=True):
        write_image(path, image)
    settings = Settings(workspace=workspace)
    detector = Detector.load("builtin:deeppcb", settings=settings)
    engine = open_warehouse(settings.warehouse)
    write_inspection(engine, inspect_image(detector, *paths).to_record("test"), detector.taxonomy)
    engine.dispose()
    app = open_page("vision_lab", source="Inspected lately")
    assert "## FAIL" in app.error[0].value
    paths[1].unlink()
    app = open_page("vision_lab", source="Inspected lately")
    assert "no longer where they were" in text_of(app)
    assert not app.metric


def test_an_inspected_board_goes_through_its_recipe_again(
    open_page: Opened, workspace: Path, pair: tuple[Image, Image]
) -> None:
    """A camera that shows copper bright: the model is to see what it saw on the line."""
    settings = Settings(workspace=workspace)
    detector = Detector.load("builtin:deeppcb", settings=settings)
    engine = open_warehouse(settings.warehouse)
    test, reference = (png(np.asarray(255 - image, np.uint8)) for image in pair)
    line = LineInspector(detector, engine, Stage(settings))
    answer = line.inspect(Submission("B1", "AOI-1", test, reference=reference, recipe=Recipe(copper="bright")))
    (row,) = list_boards(engine, BoardFilter())
    engine.dispose()
    board = inspected_source(row).load()
    assert board.reference is not None
    assert np.array_equal(board.test.image, pair[0])
    assert np.array_equal(board.reference.image, pair[1])
    app = open_page("vision_lab", source="Inspected lately")
    assert answer.document is not None
    assert f"## {answer.document.call.value}" in app.error[0].value


def test_models_of_the_registry(open_page: Opened, workspace: Path, tmp_path: Path) -> None:
    settings = Settings(workspace=workspace)
    settings.workspace.mkdir(parents=True)
    shipped = builtin_model("golden-only")
    promote_model(settings, "builtin:deeppcb")
    second = Registry(settings).register(shipped.path, shipped.card)
    app = open_page("vision_lab", source="Synthetic board", size="320")
    assert list(app.selectbox(key="model").options) == [
        *("champion", "challenger", "2", "1"),
        *("builtin:deeppcb", "builtin:golden-only"),
    ]
    assert "champion (version 1)" in text_of(app)
    second.model_path.write_bytes(b"damaged")
    app.selectbox(key="model").select("challenger").run()
    assert not app.exception
    assert "version 2 of 'pcb-detector' is damaged" in text_of(app)
    assert "What to do" in text_of(app)


def test_a_large_board_is_tiled(open_page: Opened) -> None:
    board = np.tile(BOARD, (5, 6))
    app = upload(open_page("vision_lab", **UPLOADS), png(board), png(board))
    assert metrics(app)["Registration"] == "1.00"
    assert "1,920 x 1,600 px, shown reduced" in text_of(app)
