"""A board as a station hands it in becomes an inspection, with the shipped model and a real warehouse."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import Engine

from copperline.data import decode_image, sha256_of
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import CopperlineError, DataError
from copperline.inspection import Detector
from copperline.line import InspectionDocument, LineInspector, Submission
from copperline.reference import Recipe, WhiteImages, condition
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.taxonomy import Call
from copperline.warehouse import (
    NewReference,
    RequestKey,
    add_reference,
    find_inspection,
    open_warehouse,
    retire_reference,
    trace_board,
)


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, bytes]]:
    """Test image and reference of some drawn boards, 320 px, as files."""
    folder = tmp_path_factory.mktemp("boards") / "drawn"
    write_synthetic_dataset(folder, train=1, test=4, size=320, processes=1)
    tests = sorted(folder.rglob("*_test.jpg"))
    return [(t.read_bytes(), t.with_name(t.name.replace("_test", "_temp")).read_bytes()) for t in tests]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("builtin:deeppcb", threads=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "w")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_warehouse(settings.warehouse)
    yield engine
    engine.dispose()


@pytest.fixture
def line(detector: Detector, engine: Engine, settings: Settings) -> LineInspector:
    return LineInspector(detector, engine, Stage(settings), sinks=("mes",))


def add(engine: Engine, settings: Settings, image: bytes, product: str = "Hub", revision: str = "", **more: str) -> str:
    stored = Stage(settings).put(image)
    new = NewReference(product, revision, str(stored.path), stored.sha256, 320, 320, "ann", **more)  # type: ignore[arg-type]
    return add_reference(engine, new).reference_id


def test_the_answer_is_what_the_warehouse_has(
    line: LineInspector, engine: Engine, boards: list[tuple[bytes, bytes]]
) -> None:
    test, reference = boards[0]
    answer = line.inspect(
        Submission("B1", "AOI-1", test, reference=reference, line_id="L1", product_type="Hub", panel_id="P1")
    )
    document = answer.document
    assert document is not None
    assert answer.written.new
    assert document.registration_score is not None
    kept = find_inspection(engine, answer.written.inspection_id)
    again = InspectionDocument.of_trace(*kept, line.detector.taxonomy)
    assert again.model_copy(update={"inspected_at": document.inspected_at}) == document
    trace = kept[1]
    assert sha256_of(trace.image_path) == trace.image_sha256 == document.image.sha256
    assert Path(trace.image_path).read_bytes() == test


def test_it_says_the_same_as_the_detector(line: LineInspector, boards: list[tuple[bytes, bytes]]) -> None:
    test, reference = boards[1]
    document = line.inspect(Submission("B1", "AOI-1", test, reference=reference)).document
    assert document is not None
    found = line.detector(decode_image(test, "test"), decode_image(reference, "reference"))
    assert [d.defect_class for d in document.detections] == [d["class"] for d in found.to_dicts(line.detector.taxonomy)]
    boxes = np.array([d.box for d in document.detections]).reshape(-1, 4)
    np.testing.assert_allclose(boxes, found.boxes, atol=0.06)


def test_a_product_is_compared_with_its_current_reference(
    line: LineInspector, engine: Engine, settings: Settings, boards: list[tuple[bytes, bytes]]
) -> None:
    test, reference = boards[0]
    first = add(engine, settings, reference)
    document = line.inspect(Submission("B1", "AOI-1", test, product_type="Hub")).document
    assert document is not None
    assert document.reference is not None
    assert document.reference.reference_id == first
    second = add(engine, settings, boards[1][1])
    line.references.forget()
    other = line.inspect(Submission("B1", "AOI-1", test, product_type="Hub")).document
    assert other is not None
    assert other.reference is not None
    assert (other.reference.reference_id, other.call) == (second, Call.WITHHELD)
    named = line.inspect(Submission("B2", "AOI-1", test, product_type="Hub", reference_id=first)).document
    assert named is not None
    assert named.reference == document.reference
    retire_reference(engine, second)
    line.references.forget()
    back = line.prepare(Submission("B3", "AOI-1", test, product_type="Hub"))
    assert back.reference_id == first
    with pytest.raises(DataError, match="revision X, found none"):
        line.prepare(Submission("B4", "AOI-1", test, product_type="Hub", revision="X"))


def test_a_camera_image_is_brought_to_the_models_form(
    line: LineInspector, engine: Engine, settings: Settings, boards: list[tuple[bytes, bytes]]
) -> None:
    """Bright copper in colour under uneven light: as it is the call is another; with its recipe it is the same."""
    recipe = Recipe(channel="red", flat_field=0.25, binarise="otsu", copper="bright")
    camera = [_as_camera(data) for data in boards[0]]
    plain = line.inspect(Submission("B1", "AOI-1", boards[0][0], reference=boards[0][1])).document
    seen = line.inspect(Submission("B2", "AOI-1", camera[0], reference=camera[1], recipe=recipe)).document
    assert plain is not None
    assert seen is not None
    assert seen.conditioning == {"channel": "red", "flat_field": 0.25, "binarise": "otsu", "copper": "bright"}
    assert [d.defect_class for d in seen.detections] == [d.defect_class for d in plain.detections]
    key = add(engine, settings, camera[1], conditioning=recipe.to_json() or "")
    of_library = line.inspect(Submission("B3", "AOI-1", camera[0], product_type="Hub")).document
    assert of_library is not None
    assert of_library.conditioning == seen.conditioning
    assert of_library.reference is not None
    assert of_library.reference.reference_id == key
    assert trace_board(engine, "B3").inspections[0].conditioning == recipe.to_json()


def _as_camera(data: bytes) -> bytes:
    grey = decode_image(data, "board")
    height, width = grey.shape[:2]
    light = np.linspace(0.6, 1.0, width)[None, :] * np.linspace(1.0, 0.8, height)[:, None]
    copper = 60 + 180 * (1 - grey.astype(float) / 255)
    colour = np.stack([0.3 * copper, 0.5 * copper, copper], axis=2) * light[:, :, None]
    return cv2.imencode(".png", colour.clip(0, 255).astype(np.uint8))[1].tobytes()


def test_boxes_of_a_scaled_image_are_in_pixels_of_the_image_that_was_given(
    line: LineInspector, engine: Engine, boards: list[tuple[bytes, bytes]]
) -> None:
    """A camera with half the resolution: enlarged to what the model knows, and told in the camera's own pixels."""
    halves = [_halved(data) for data in boards[1]]
    plain = line.inspect(Submission("B1", "AOI-1", boards[1][0], reference=boards[1][1])).document
    recipe = Recipe(scale=2, binarise="otsu")
    seen = line.inspect(Submission("B2", "AOI-1", halves[0], reference=halves[1], recipe=recipe)).document
    assert plain is not None
    assert seen is not None
    assert (seen.image.width, seen.image.height) == (160, 160)
    assert len(seen.detections) > 2
    there = np.array([d.box for d in plain.detections]) / 2
    for detection in seen.detections:
        assert np.abs(there - np.array(detection.box)).max(axis=1).min() < 4
    inspection = find_inspection(engine, seen.inspection_id)
    assert InspectionDocument.of_trace(*inspection, line.detector.taxonomy).detections == seen.detections


def _halved(data: bytes) -> bytes:
    image = decode_image(data, "board")
    small = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", small)[1].tobytes()


def test_a_white_image_of_the_stage_is_used_for_both_images(
    line: LineInspector, engine: Engine, settings: Settings, boards: list[tuple[bytes, bytes]]
) -> None:
    light = np.full((320, 320), 0.9)
    light[:, 150:] = 0.4  # a shadow, which no estimate finds
    white = cv2.imencode(".png", np.rint(240 * light).astype(np.uint8))[1].tobytes()
    recipe = Recipe(white_image=WhiteImages(Stage(settings)).add(white), binarise="otsu")
    lit = [_under(data, light) for data in boards[1]]
    plain = line.inspect(Submission("B1", "AOI-1", boards[1][0], reference=boards[1][1])).document
    add(engine, settings, lit[1], conditioning=recipe.to_json() or "")
    seen = line.inspect(Submission("B2", "AOI-1", lit[0], product_type="Hub")).document
    assert plain is not None
    assert seen is not None
    assert [d.defect_class for d in seen.detections] == [d.defect_class for d in plain.detections]
    unknown = Recipe(white_image="0" * 64)
    with pytest.raises(DataError, match="on the stage, found none"):
        line.prepare(Submission("B3", "AOI-1", lit[0], reference=lit[1], recipe=unknown))


def _under(data: bytes, light: np.ndarray) -> bytes:
    levels = (50 + decode_image(data, "board") / 255.0 * 150) * light
    return cv2.imencode(".png", np.rint(levels).astype(np.uint8))[1].tobytes()


def test_a_repeated_request_gets_the_first_answer(line: LineInspector, boards: list[tuple[bytes, bytes]]) -> None:
    ask = Submission("B1", "AOI-1", boards[0][0], reference=boards[0][1], request=RequestKey("k", "s"))
    first = line.inspect(ask)
    line.swap(line.detector.with_operating_point(0.9))
    again = line.inspect(ask)
    assert again.document is None
    assert again.written.inspection_id == first.written.inspection_id
    assert not again.written.new


def test_two_models_in_one_batch(line: LineInspector, boards: list[tuple[bytes, bytes]]) -> None:
    """The champion is changed while boards are being judged: each is judged whole, and all are written."""
    prepared = [line.prepare(Submission(f"B{n}", "AOI-1", b[0], reference=b[1])) for n, b in enumerate(boards[:4])]
    judged = [line.judge(p) for p in prepared[:2]]
    line.swap(line.detector.with_operating_point(0.9))
    judged += [line.judge(p) for p in prepared[2:]]
    answers = line.write(judged)
    assert [a.document.board_id for a in answers if a.document] == ["B0", "B1", "B2", "B3"]


def test_a_board_without_a_reference_can_be_refused(
    detector: Detector, engine: Engine, settings: Settings, boards: list[tuple[bytes, bytes]]
) -> None:
    strict = LineInspector(detector, engine, Stage(settings), requires_reference=True, max_pixels=320 * 320)
    with pytest.raises(DataError, match="expected a golden reference for product Hub"):
        strict.prepare(Submission("B1", "AOI-1", boards[0][0], product_type="Hub"))
    small = LineInspector(detector, engine, Stage(settings), max_pixels=1000)
    with pytest.raises(DataError, match="at most 1,000 pixels, found 320 x 320"):
        small.prepare(Submission("B1", "AOI-1", boards[0][0]))
    exact = LineInspector(detector, engine, Stage(settings), max_pixels=320 * 320)
    with pytest.raises(DataError, match="at most 25,600 pixels, found 320 x 320"):
        exact.prepare(Submission("B1", "AOI-1", boards[0][0], recipe=Recipe(scale=2)))
    assert not settings.stage.exists()


def test_what_is_no_image_leaves_nothing(line: LineInspector, settings: Settings) -> None:
    for data in (b"", b"GIF89a nothing", b"\x89PNG\r\n\x1a\n" + b"\0" * 40):
        with pytest.raises(CopperlineError):
            line.prepare(Submission("B1", "AOI-1", data))
    assert not settings.stage.exists()


def test_the_stage_keeps_an_image_once(settings: Settings, boards: list[tuple[bytes, bytes]]) -> None:
    stage = Stage(settings)
    assert stage.put(boards[0][0]) == stage.put(boards[0][0])
    assert len([p for p in settings.stage.rglob("*") if p.is_file()]) == 1
    # A file that a power failure cut short is written again.
    stored = stage.put(boards[0][0]).path
    stored.write_bytes(b"")
    assert stage.put(boards[0][0]).path.read_bytes() == boards[0][0]
    shutil.rmtree(settings.stage)


def test_conditioning_of_what_is_there_already_changes_nothing(boards: list[tuple[bytes, bytes]]) -> None:
    grey = decode_image(boards[0][0], "board")
    assert np.array_equal(condition(grey, Recipe()), grey)
    with pytest.raises(DataError, match="mistake in median"):
        Recipe.from_json('{"median": 4}')
