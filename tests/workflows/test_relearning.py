"""From reviews of really inspected boards to a data set: every label and every crop follows from a decision."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from copperline.data import BoardPair, load_saved, open_dataset, read_grey, save_dataset, sha256_of, write_image
from copperline.data.synthetic import synthetic_pair, write_synthetic_dataset
from copperline.detections import Detections
from copperline.errors import DataError, SettingsError
from copperline.reference import Recipe, condition, register
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    BoardRecord,
    InspectionRecord,
    Judgement,
    inference_id_for,
    inspection_id_for,
    open_warehouse,
    record_dispositions,
    write_boards,
    write_inspections,
)
from copperline.workflows.relearning import dataset_from_reviews

SIZE = 480
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FALSE, CONFIRMED, ESCAPE = Disposition.FALSE_CALL, Disposition.CONFIRMED, Disposition.ESCAPE
TWO = Detections.of([[20, 30, 50, 60], [300, 320, 340, 360]], [0, 3], [0.9, 0.8])


@dataclasses.dataclass
class Plant:
    """A workspace with a warehouse and images on its stage."""

    settings: Settings
    engine: Engine
    boards: int = 0

    def inspect(self, detections: Detections = TWO, call: Call | None = None, **changes: object) -> InspectionRecord:
        """A new board with drawn images that is in the warehouse as inspected."""
        self.boards += 1
        test, reference, _ = synthetic_pair(self.boards, SIZE)
        paths = []
        for name, image in (("t", test), ("r", reference)):
            image[10::40, 10::40] = 128  # so that no crop is without contrast
            write_image(self.settings.workspace / f"{name}{self.boards}.png", image)
            paths.append(self.settings.workspace / f"{name}{self.boards}.png")
        record = InspectionRecord(
            inspection_id="",
            board_id=f"B{self.boards}",
            inspected_at=NOON,
            station_id="AOI-1",
            model_name="pcb-detector",
            model_version="1",
            operating_point="{}",
            image_path=str(paths[0]),
            image_sha256=sha256_of(paths[0]),
            reference_path=str(paths[1]),
            reference_sha256=sha256_of(paths[1]),
            registration_score=0.9,
            call=call or (Call.FAIL if len(detections) else Call.PASS),
            latency_ms=1.0,
            width=SIZE,
            height=SIZE,
            detections=detections,
        )
        record = dataclasses.replace(record, **changes)  # type: ignore[arg-type]
        key = inspection_id_for(
            record.board_id, record.image_sha256, record.reference_sha256, "pcb-detector", record.model_version, "{}"
        )
        record = dataclasses.replace(record, inspection_id=key)
        write_inspections(self.engine, [record])
        return record

    def say(self, *judgements: Judgement) -> None:
        record_dispositions(self.engine, judgements, "ann", decided_at=NOON + timedelta(hours=1))

    def pairs(self, name: str = "reviews", **chosen: object) -> tuple[BoardPair, ...]:
        return dataset_from_reviews(self.settings, name, **chosen).dataset.pairs  # type: ignore[arg-type]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    settings = Settings(workspace=tmp_path / "workspace", threads=1)
    engine = open_warehouse(settings.warehouse)
    yield Plant(settings, engine)
    engine.dispose()


def each(record: InspectionRecord, *said: Judgement | Disposition | None) -> list[Judgement]:
    """A decision for each detection, in order; None: none."""
    return [
        dataclasses.replace(what, inference_id=inference_id_for(record.inspection_id, position))
        if isinstance(what, Judgement)
        else Judgement(record.inspection_id, what, inference_id_for(record.inspection_id, position))
        for position, what in enumerate(said)
        if what is not None
    ]


def test_a_good_board_is_taken_as_a_whole_as_the_model_saw_it(plant: Plant) -> None:
    good, false = plant.inspect(Detections.empty()), plant.inspect()
    plant.say(Judgement(good.inspection_id, CONFIRMED), Judgement(false.inspection_id, FALSE))
    made = dataset_from_reviews(plant.settings, "reviews")
    assert (made.whole, made.crops, made.false_calls, made.left_out) == (2, 0, 2, {})
    first, second = made.dataset.pairs
    assert (len(first.labels), len(first.false_calls), len(second.labels)) == (0, 0, 0)
    assert second.false_calls.boxes.tolist() == TWO.boxes.tolist()
    test, reference = (read_grey(path) for path in (good.image_path, good.reference_path or ""))
    assert np.array_equal(read_grey(first.test_path), test)
    assert first.reference_path is not None
    assert np.array_equal(read_grey(first.reference_path), register(test, reference).reference)


def test_defects_are_labelled_as_detected_or_as_corrected_in_crops(plant: Plant) -> None:
    record = plant.inspect()
    corrected = Judgement(record.inspection_id, CONFIRMED, corrected_class="short", box=(0.5, 0.5, 0.05, 0.1))
    plant.say(*each(record, CONFIRMED, corrected))
    first, second = plant.pairs()
    assert {pair.board_group for pair in (first, second)} == {"B1"}
    found = []
    for pair in (first, second):
        assert (pair.width, pair.height) == (160, 160)
        x, y = map(int, pair.board_id.split("-")[-2:])
        assert np.array_equal(read_grey(pair.test_path), read_grey(record.image_path)[y : y + 160, x : x + 160])
        (box,) = pair.labels.shifted(x, y).boxes.round().tolist()
        found.append((int(pair.labels.class_ids[0]), box))
    assert found == [(0, [20, 30, 50, 60]), (1, [228, 216, 252, 264])]


def test_what_was_missed_on_a_failed_board_is_labelled_in_a_crop_around_it(plant: Plant) -> None:
    record = plant.inspect()
    missed = Judgement(record.inspection_id, ESCAPE, corrected_class="short", box=(0.5, 0.75, 0.05, 0.1))
    # The detections are not judged: no crop may hold them, and the board is not taken as a whole.
    plant.say(missed)
    made = dataset_from_reviews(plant.settings, "marked")
    assert (made.whole, made.crops, made.left_out) == (0, 1, {"not judged": 2})
    (pair,) = made.dataset.pairs
    x, y = map(int, pair.board_id.split("-")[-2:])
    (box,) = pair.labels.shifted(x, y).boxes.round().tolist()
    assert (int(pair.labels.class_ids[0]), box) == (1, [228, 336, 252, 384])
    assert not (x < 340 and y < 360 and x + pair.width > 300 and y + pair.height > 320)  # the second detection
    assert np.array_equal(
        read_grey(pair.test_path), read_grey(record.image_path)[y : y + pair.height, x : x + pair.width]
    )
    # All that was called is false: the board is bad all the same, and still no one has looked at all of it.
    plant.say(*each(record, FALSE, FALSE))
    made = dataset_from_reviews(plant.settings, "judged")
    assert (made.whole, made.false_calls, made.left_out) == (0, 2, {})
    assert sum(len(pair.labels) for pair in made.dataset) == 1


def test_a_crop_in_which_nothing_is_to_be_seen_is_left_out(plant: Plant) -> None:
    """Training could not read it."""
    record = plant.inspect()
    image = read_grey(record.image_path)
    image[:200, :200] = 0
    write_image(record.image_path, image)
    again = dataclasses.replace(record, inspection_id="bare", board_id="B9", image_sha256=sha256_of(record.image_path))
    write_inspections(plant.engine, [again])
    plant.say(*each(again, CONFIRMED, CONFIRMED))
    made = dataset_from_reviews(plant.settings, "reviews")
    assert made.left_out == {"nothing is to be seen there: the crop has no contrast": 1}
    assert (len(made.dataset), made.crops) == (1, 1)


def test_images_are_conditioned_as_they_were(plant: Plant) -> None:
    recipe = Recipe(copper="bright", median=3)
    record = plant.inspect(Detections.empty(), conditioning=recipe.to_json())
    plant.say(Judgement(record.inspection_id, CONFIRMED))
    made = dataset_from_reviews(plant.settings, "reviews")
    (pair,) = made.dataset.pairs
    assert made.report.notes == (
        "no board is in val: train with another data set that has some, or review more boards",
    )
    assert np.array_equal(read_grey(pair.test_path), condition(read_grey(record.image_path), recipe))


def test_what_cannot_be_used_is_told(plant: Plant) -> None:
    records = [plant.inspect() for _ in range(6)]
    for record in records:
        plant.say(Judgement(record.inspection_id, CONFIRMED))
    Path(records[0].image_path).unlink()
    Path(records[1].reference_path or "").unlink()
    write_image(records[2].image_path, np.tile(np.arange(SIZE, dtype=np.uint8), (SIZE, 1)))
    write_image(records[3].reference_path or "", np.tile(np.arange(SIZE, dtype=np.uint8), (SIZE, 1)))
    escaped, unclassed = plant.inspect(Detections.empty()), plant.inspect(Detections.empty())
    unnamed = Judgement(unclassed.inspection_id, ESCAPE, box=(0.5, 0.5, 0.1, 0.1))
    plant.say(Judgement(escaped.inspection_id, ESCAPE), unnamed)
    half = plant.inspect()
    plant.say(*each(half, CONFIRMED, None))
    withheld = plant.inspect(Detections.empty(), Call.WITHHELD)
    plant.say(Judgement(withheld.inspection_id, FALSE))
    odd = plant.inspect(board_id="line/7")
    plant.say(Judgement(odd.inspection_id, CONFIRMED))
    foreign = plant.inspect()
    plant.say(*each(foreign, Judgement(foreign.inspection_id, CONFIRMED, corrected_class="scratch"), FALSE))
    made = dataset_from_reviews(plant.settings, "reviews")
    assert made.left_out == {
        "an escape without a box": 1,
        "an escape without a class": 1,
        "not judged": 1,
        "of a class that is none of this factory's": 1,
        "the board's id cannot be a file name": 1,
        "the call was withheld: the reference is not that board's": 1,
        "the image is gone or cannot be read": 1,
        "the image is not the one that was inspected: its SHA-256 differs": 1,
        "the reference is gone or cannot be read": 1,
        "the reference is not the one that was compared with: its SHA-256 differs": 1,
    }
    assert len(made.report.skipped) == sum(made.left_out.values())
    assert {skip.board for skip in made.report.skipped} >= {"B1", "B2", "B3", "B4", "line/7"}
    assert {pair.board_group for pair in made.dataset} == {"B5", "B6", half.board_id, foreign.board_id}
    assert "left out, not judged: 1" in made.report.notes


def test_all_of_a_board_is_in_one_split_and_the_hash_stays(plant: Plant) -> None:
    for _ in range(12):
        plant.say(Judgement(plant.inspect().inspection_id, CONFIRMED))
    again = plant.inspect(board_id="B1", model_version="2")  # another image of the first board
    plant.say(Judgement(again.inspection_id, CONFIRMED))
    made = dataset_from_reviews(plant.settings, "reviews")
    splits: dict[str, set[str]] = {}
    for pair in made.dataset:
        splits.setdefault(pair.board_group, set()).add(pair.split)
    assert all(len(of_board) == 1 for of_board in splits.values())
    assert {split for of_board in splits.values() for split in of_board} == {"train", "val"}
    assert len({pair.board_id for pair in made.dataset}) == len(made.dataset)
    other = dataset_from_reviews(plant.settings, "again")
    assert other.data_hash == made.data_hash
    # More reviews leave the boards where they are.
    plant.say(Judgement(plant.inspect().inspection_id, CONFIRMED))
    more = dataset_from_reviews(plant.settings, "more").dataset
    assert {p.board_id: p.split for p in made.dataset}.items() <= {p.board_id: p.split for p in more}.items()
    with pytest.raises(DataError, match="the folder exists already"):
        dataset_from_reviews(plant.settings, "reviews")
    assert dataset_from_reviews(plant.settings, "reviews", overwrite=True).data_hash != made.data_hash
    assert load_saved(plant.settings.workspace / "datasets" / "reviews", verify=True)[0].source == "reviews"


def test_what_a_data_set_measures_on_is_not_learned(plant: Plant, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "boards", train=4, test=2, size=160, processes=1)
    dataset, report = open_dataset(tmp_path / "boards")
    save_dataset(dataset, report, plant.settings.workspace / "datasets" / "boards")
    for pair in dataset:
        stored = Stage(plant.settings).put(pair.test_path.read_bytes())
        record = plant.inspect(Detections.empty(), image_path=str(stored.path), image_sha256=stored.sha256,
                               reference_path=None, reference_sha256=None)  # fmt: skip
        plant.say(Judgement(record.inspection_id, CONFIRMED))
    made = dataset_from_reviews(plant.settings, "reviews")
    assert made.left_out == {"the board is in the split `test` of a data set": 2}
    learned = {f"B{number}": pair.split for number, pair in enumerate(dataset, 1) if pair.split != "test"}
    assert {pair.board_group: pair.split for pair in made.dataset} == learned
    assert len(plant.pairs("all", learn_test=True)) == 6


def test_simulated_boards_are_flagged_and_products_kept_apart(plant: Plant) -> None:
    for number in range(1, 7):
        plant.say(Judgement(plant.inspect().inspection_id, CONFIRMED))
        product, source = ("Hub", "Drive", "Relay")[number % 3], "simulated" if number == 1 else "real"
        write_boards(plant.engine, [BoardRecord(f"B{number}", None, "L1", product, None, NOON, None, source, None)])  # type: ignore[arg-type]
    made = dataset_from_reviews(plant.settings, "reviews", split_by="product", val_fraction=0.3)
    assert made.dataset.name == "reviews (simulated boards)"
    assert made.report.notes[0] == "1 of 6 reviewed boards are simulated"
    assert {pair.board_group for pair in made.dataset} == {"Hub", "Drive", "Relay"}
    splits = {(pair.board_group, pair.split) for pair in made.dataset}
    assert len(splits) == 3
    assert len({split for _, split in splits}) == 2


def test_nothing_to_learn_from_is_an_error(plant: Plant) -> None:
    with pytest.raises(DataError, match="expected reviewed boards to learn from, found none of 0 images"):
        plant.pairs()
    record = plant.inspect()
    plant.say(Judgement(record.inspection_id, CONFIRMED))
    Path(record.image_path).unlink()
    with pytest.raises(DataError, match=r"none of 1 images \(the image is gone or cannot be read: 1\)"):
        plant.pairs()
    with pytest.raises(SettingsError, match="expected a plain name"):
        plant.pairs("../x")


@hypothesis_settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_label_is_a_decision_and_no_crop_holds_what_was_not_judged(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    settings = Settings(workspace=tmp_path_factory.mktemp("drawn"), threads=1)
    plant = Plant(settings, open_warehouse(settings.warehouse))
    place = st.tuples(st.integers(0, 11), st.integers(0, 11))
    corners = data.draw(st.lists(place, min_size=1, max_size=10, unique=True))
    boxes = [[40 * x + 3, 40 * y + 5, 40 * x + 33, 40 * y + 30] for x, y in corners]
    classes = [data.draw(st.integers(0, 5)) for _ in boxes]
    record = plant.inspect(Detections.of(boxes, classes, [0.5] * len(boxes)))
    said = [data.draw(st.sampled_from((CONFIRMED, FALSE, None))) for _ in boxes]
    if not any(said):
        said[0] = CONFIRMED
    plant.say(*each(record, *said))
    try:
        pairs = plant.pairs()
    except DataError:
        pairs = ()
    plant.engine.dispose()
    confirmed = {(c, *b) for b, c, s in zip(boxes, classes, said, strict=True) if s is CONFIRMED}
    unjudged = [b for b, s in zip(boxes, said, strict=True) if s is None]
    for pair in pairs:
        tail = pair.board_id.split("-")[-2:]
        x, y = map(int, tail) if len(tail) == 2 and pair.width < SIZE else (0, 0)
        labels = pair.labels.shifted(x, y)
        for box, class_id in zip(labels.boxes.round().astype(int).tolist(), labels.class_ids.tolist(), strict=True):
            assert (class_id, *box) in confirmed
        assert (pair.labels.boxes >= 0).all()
        assert (pair.labels.boxes[:, 2:] <= (pair.width, pair.height)).all()
        for x1, y1, x2, y2 in unjudged:
            assert x2 <= x or x1 >= x + pair.width or y2 <= y or y1 >= y + pair.height
