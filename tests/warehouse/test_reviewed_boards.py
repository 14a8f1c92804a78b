"""What people decided of images, place by place."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from copperline.data.reviewed import Finding
from copperline.detections import Detections
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    InspectionRecord,
    Judgement,
    inference_id_for,
    record_disposition,
    record_dispositions,
    write_boards,
    write_inspections,
)
from copperline.warehouse.reviewed_boards import ReviewedImage, reviewed_images

Make = Callable[..., InspectionRecord]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FALSE, CONFIRMED, ESCAPE = Disposition.FALSE_CALL, Disposition.CONFIRMED, Disposition.ESCAPE
NOTHING = Detections.empty()


def say(engine: Engine, *judgements: Judgement, hours: float = 0) -> None:
    record_dispositions(engine, judgements, "ann", decided_at=NOON + timedelta(hours=hours))


def only(engine: Engine, **chosen: Any) -> ReviewedImage:
    (image,) = reviewed_images(engine, **chosen)
    return image


def findings(image: ReviewedImage) -> list[tuple[Finding, str | None]]:
    return [(place.finding, place.defect_class) for place in image.places]


@pytest.fixture
def failed(engine: Engine, inspection: Make) -> InspectionRecord:
    """FAIL with a spur at the top and an open below it."""
    record = inspection("B1")
    write_inspections(engine, [record])
    return record


def test_each_detection_is_as_it_was_judged_last(engine: Engine, failed: InspectionRecord) -> None:
    key = failed.inspection_id
    first, second = (inference_id_for(key, position) for position in range(2))
    say(engine, Judgement(key, CONFIRMED, first))
    image = only(engine)
    assert findings(image) == [(Finding.UNJUDGED, "spur"), (Finding.DEFECT, "open")]
    assert not image.looked_at
    say(engine, Judgement(key, CONFIRMED, first, corrected_class="short", box=(0.5, 0.5, 0.1, 0.2)), hours=1)
    say(engine, Judgement(key, FALSE, second), hours=2)
    image = only(engine)
    assert findings(image) == [(Finding.FALSE_CALL, "spur"), (Finding.DEFECT, "short")]
    assert image.places[1].box == (0.5, 0.5, 0.1, 0.2)
    # Confirmed detections say nothing of what was not called.
    assert not image.looked_at
    say(engine, Judgement(key, FALSE), hours=3)
    image = only(engine)
    assert [finding for finding, _ in findings(image)] == [Finding.FALSE_CALL] * 2
    assert image.looked_at


def test_a_good_board_is_known_as_a_whole(engine: Engine, inspection: Make) -> None:
    good, passed = inspection("B1", NOTHING), inspection("B2", call=Call.PASS)
    write_inspections(engine, [good, passed])
    for record in (good, passed):
        record_disposition(engine, record.inspection_id, CONFIRMED, "ann")
    first, second = reviewed_images(engine)
    assert (first.looked_at, first.places) == (True, ())
    # That a board was rightly passed does not say what a detection that did not fail it is.
    assert findings(second) == [(Finding.UNJUDGED, "spur"), (Finding.UNJUDGED, "open")]


def test_escapes_are_places_where_somebody_says_where(engine: Engine, inspection: Make) -> None:
    record = inspection("B1", NOTHING)
    write_inspections(engine, [record])
    key = record.inspection_id
    say(engine, Judgement(key, ESCAPE))
    assert (only(engine).unlocated_escape, only(engine).looked_at) == (True, False)
    say(
        engine,
        Judgement(key, ESCAPE, corrected_class="open", box=(0.2, 0.2, 0.1, 0.1)),
        Judgement(key, ESCAPE, corrected_class="short", box=(0.6, 0.6, 0.1, 0.1)),
        Judgement(key, ESCAPE, box=(0.8, 0.8, 0.1, 0.1)),
        hours=1,
    )
    image = only(engine)
    assert findings(image) == [(Finding.DEFECT, "open"), (Finding.DEFECT, "short"), (Finding.UNJUDGED, None)]
    assert (image.looked_at, image.unlocated_escape) == (True, False)
    say(engine, Judgement(key, CONFIRMED), hours=2)  # good after all
    assert (only(engine).places, only(engine).looked_at) == ((), True)


def test_what_was_missed_on_a_failed_board_is_a_place_of_its_own(engine: Engine, failed: InspectionRecord) -> None:
    key = failed.inspection_id
    missed = Judgement(key, ESCAPE, corrected_class="short", box=(0.6, 0.6, 0.1, 0.1))
    say(engine, missed)
    image = only(engine)
    unjudged = [(Finding.UNJUDGED, "spur"), (Finding.UNJUDGED, "open")]
    assert findings(image) == [*unjudged, (Finding.DEFECT, "short")]
    assert (image.looked_at, image.unlocated_escape, image.disagreed) == (False, False, False)
    # Somebody else marks the same defect under another name: it is one, and the latest word counts.
    say(engine, Judgement(key, ESCAPE, corrected_class="mousebite", box=(0.61, 0.6, 0.1, 0.1)), hours=1)
    say(engine, Judgement(key, CONFIRMED), hours=2)  # all detections are defects: what was missed stays
    image = only(engine)
    assert findings(image) == [(Finding.DEFECT, name) for name in ("spur", "open", "mousebite")]
    assert not image.looked_at  # no one said that nothing else was missed
    say(engine, *(Judgement(key, FALSE, inference_id_for(key, position)) for position in range(2)), hours=3)
    image = only(engine)
    assert [finding for finding, _ in findings(image)] == [Finding.FALSE_CALL, Finding.FALSE_CALL, Finding.DEFECT]
    assert not image.looked_at
    say(engine, Judgement(key, FALSE), hours=4)  # good after all
    image = only(engine)
    assert [finding for finding, _ in findings(image)] == [Finding.FALSE_CALL] * 2
    assert image.looked_at


def test_a_defect_that_is_marked_where_one_was_called_is_one(engine: Engine, inspection: Make) -> None:
    record = inspection("B1", Detections.of([[64, 32, 128, 64]], [0], [0.9]))  # of 640 x 320 px
    write_inspections(engine, [record])
    key, box = record.inspection_id, (0.15, 0.15, 0.1, 0.1)
    say(engine, Judgement(key, ESCAPE, corrected_class="short", box=box))
    assert findings(only(engine)) == [(Finding.DEFECT, "short")]
    say(engine, Judgement(key, FALSE, inference_id_for(key, 0)), hours=1)
    assert findings(only(engine)) == [(Finding.FALSE_CALL, "open")]


def test_several_inspections_of_one_image_are_one_image(engine: Engine, inspection: Make) -> None:
    """A newer model calls the same place under another name, and one more."""
    old = inspection("B1", Detections.of([[10, 20, 30, 60]], [0], [0.9]))
    new = inspection(
        "B1", Detections.of([[11, 20, 31, 60], [300, 100, 340, 130]], [1, 2], [0.9, 0.8]), model_version="4"
    )
    other_image = inspection("B1", NOTHING, image_sha256="cd" * 32)
    write_inspections(engine, [old, new, other_image])
    say(engine, Judgement(old.inspection_id, CONFIRMED))
    image = only(engine)
    assert findings(image) == [(Finding.DEFECT, "open"), (Finding.UNJUDGED, "mousebite")]
    say(engine, Judgement(new.inspection_id, FALSE), hours=1)
    image = only(engine)
    assert findings(image) == [(Finding.FALSE_CALL, "short"), (Finding.FALSE_CALL, "mousebite")]


def test_a_board_that_is_good_and_bad_is_told(engine: Engine, inspection: Make) -> None:
    failed, passed = inspection("B1"), inspection("B1", NOTHING, model_version="4")
    write_inspections(engine, [failed, passed])
    say(engine, Judgement(failed.inspection_id, CONFIRMED), Judgement(passed.inspection_id, CONFIRMED))
    assert only(engine).disagreed


def test_a_withheld_board_is_told(engine: Engine, inspection: Make) -> None:
    record = inspection("B1", NOTHING, call=Call.WITHHELD)
    write_inspections(engine, [record])
    say(engine, Judgement(record.inspection_id, FALSE))
    assert only(engine).withheld


def test_period_line_and_product(engine: Engine, inspection: Make, board: Callable[..., Any]) -> None:
    records = [inspection("B1"), inspection("B2"), inspection("B3")]
    write_inspections(engine, records)
    write_boards(engine, [board("B1", "L1"), board("B2", "L2", product_type="Drive", source="simulated")])
    for hours, record in enumerate(records):
        say(engine, Judgement(record.inspection_id, CONFIRMED), hours=hours)

    def boards(**chosen: Any) -> list[str]:
        return [image.board_id for image in reviewed_images(engine, **chosen)]

    assert boards() == ["B1", "B2", "B3"]
    assert boards(lines=["L1"]) == ["B1"]
    assert boards(lines=["", "L2"]) == ["B2", "B3"]
    assert boards(products=["Drive"]) == ["B2"]
    assert boards(since=NOON + timedelta(hours=1)) == ["B2", "B3"]
    assert boards(until=NOON + timedelta(hours=1)) == ["B1"]
    assert [image.simulated for image in reviewed_images(engine)] == [False, True, False]
    say(engine, Judgement(records[0].inspection_id, FALSE), hours=9)
    assert boards(since=NOON + timedelta(hours=2)) == ["B1", "B3"]
    # As it was then: what was decided later does not count.
    (then,) = reviewed_images(engine, until=NOON + timedelta(hours=1))
    assert {place.finding for place in then.places} == {Finding.DEFECT}


WORDS = {Finding.DEFECT: "CONFIRMED", Finding.FALSE_CALL: "FALSE_CALL", Finding.UNJUDGED: None}


@pytest.mark.parametrize("seed", range(4))
def test_every_place_is_as_a_recount_says(
    any_engine: Engine, plant: Callable[..., None], recount: Callable[[Engine], list[Any]], seed: int
) -> None:
    """Of failed boards, where what was said of the whole counts for each detection; by both databases."""
    plant(any_engine, random.Random(seed), boards=90)
    found = {(image.board_id, image.image_sha256): image for image in reviewed_images(any_engine)}
    compared = 0
    for counted in recount(any_engine):
        images = [seen.row["image_sha256"] for seen in counted.seen]
        for seen in counted.seen:
            image = found.get((counted.board_id, seen.row["image_sha256"]))
            if image is None or images.count(seen.row["image_sha256"]) > 1 or seen.row["call"] != "FAIL":
                continue
            expected = Counter((name, None if said == "ESCAPE" else said) for name, _, said in seen.detections)
            expected += Counter((name, "CONFIRMED") for name in seen.missed.values())
            assert Counter((place.defect_class, WORDS[place.finding]) for place in image.places) == expected
            assert image.looked_at == (seen.verdict == "GOOD")
            compared += 1
    assert compared > 1
