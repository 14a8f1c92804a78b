from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError

from copperline.errors import ModelError
from copperline.model_info import Parity
from copperline.registry import ModelCard


def test_written_card_reads_back_equal(card: ModelCard, tmp_path: Path) -> None:
    card.write(tmp_path)
    assert ModelCard.read(tmp_path) == card
    assert ModelCard.read(tmp_path / "card.json") == card
    assert sorted(p.name for p in tmp_path.iterdir()) == ["card.json", "card.md"]
    assert (tmp_path / "card.md").read_text() == card.to_markdown()


def test_markdown_shows_every_part(card: ModelCard) -> None:
    lines = card.to_markdown().splitlines()
    for line in (
        "# pcb-detector",
        "| Network | copperline-n |",
        "| Parameters | 361,442 |",
        "| Created (UTC) | 2026-03-04 05:06 |",
        "| Licence | Apache-2.0 |",
        "| ONNX against PyTorch | agree: largest difference 2.1e-05 on 4 inputs (allowed 0.001) |",
        f"Source: DeepPCB. SHA-256: `{'ab' * 32}`.",
        "| train | 900 | 00041, 20085 |",
        "| val | 100 | 12000 |",
        "| seed | 7 |",
        "| epochs | 60 |",
        "| ap33 | 0.9891 |",
        "| false_call_boards | not measured |",
        "### per_class",
        "|  | ap50 | ap50_95 |",
        "| short | 0.968 | not measured |",
        "Chosen for: recall >= 99.5 %.",
        "| pin-hole | 0.25 |",
        "- Not for assembled boards.",
    ):
        assert line in lines


def test_markdown_says_what_is_missing_or_failed(card: ModelCard) -> None:
    bare = card.model_copy(
        update={
            "metrics": {},
            "limitations": (),
            "parity": None,
            "data_hash": "",
            "operating_point": card.operating_point.model_copy(update={"reached": False}),
        }
    )
    text = bare.to_markdown()
    assert "| ONNX against PyTorch | not measured |" in text
    assert "SHA-256: `not measured`" in text
    assert "**This was not reached.**" in text
    assert text.count("None are recorded.") == 2
    failed = card.model_copy(update={"parity": Parity(passed=False, images=4, max_difference=0.5, tolerance=1e-3)})
    assert "DO NOT AGREE" in failed.to_markdown()


def test_cells_cannot_break_the_table(card: ModelCard) -> None:
    odd = card.model_copy(update={"training": {"note": "a | b\nc"}})
    assert "| note | a \\| b c |" in odd.to_markdown().splitlines()


def test_time_is_shown_in_utc_and_must_have_a_zone(card: ModelCard) -> None:
    tokyo = datetime(2026, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=9)))
    assert "2026-03-03 20:06" in card.model_copy(update={"created_at": tokyo}).to_markdown()
    with pytest.raises(ValidationError, match="created_at"):
        ModelCard.model_validate({**card.model_dump(), "created_at": datetime(2026, 3, 4)})


def test_absent_card_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"card\.json: the model card cannot be read \(No such file"):
        ModelCard.read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [('"seed": 7', '"seed": "seven"', "seed"), ('"seed": 7', '"sead": 7', "sea?e?d"), ("{", "", "JSON")],
)
def test_damaged_card_names_the_field(card: ModelCard, tmp_path: Path, old: str, new: str, found: str) -> None:
    card.write(tmp_path)
    file = tmp_path / "card.json"
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(ModelError, match=rf"card\.json: the model card is damaged or of another version \({found}"):
        ModelCard.read(tmp_path)
