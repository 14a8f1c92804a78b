"""A board's page says what the tables say of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Sql = Callable[..., list[tuple[Any, ...]]]


def test_a_repaired_board_with_all_that_is_known_of_it(
    visit: Any, served: str, rows_of: Any, sql: Sql, plant: Path
) -> None:
    [board, *_] = [row[0] for row in sql(
        "SELECT board_id FROM inspections i GROUP BY 1 HAVING COUNT(*) > 1 AND EXISTS (SELECT 1 FROM dispositions p "
        "JOIN inspections j ON j.inspection_id = p.inspection_id WHERE j.board_id = i.board_id) ORDER BY 1"
    )]  # fmt: skip
    page = visit(f"{served}/board?board={board}")
    assert page.get_by_role("heading", name=board, exact=True).count() == 1
    inspections = sql(
        "SELECT inspection_id, call, substr(inspected_at, 1, 19), image_path, image_sha256, reference_path, "
        "reference_sha256, operating_point FROM inspections WHERE board_id = :board ORDER BY inspected_at DESC",
        board=board,
    )
    titles = page.get_by_test_id("stMain").locator("summary").filter(has_text=re.compile(r"\d\d:\d\d:\d\d"))
    assert [re.sub(r"^.*?(\d{4})", r"\1", text, flags=re.S) for text in titles.all_inner_texts()] == [
        f"{at} UTC: {call}{', the latest' if turn == 0 else ''}" for turn, (_, call, at, *_) in enumerate(inspections)
    ]
    titles.nth(1).click()
    for turn, (key, _, _, image, image_hash, reference, reference_hash, point) in enumerate(inspections):
        facts = dict(row[:2] for row in rows_of(page, f"trace-{turn}"))
        assert facts["inspection"] == key
        assert (facts["test image"], facts["test image's SHA-256"]) == (image, image_hash)
        assert (facts["reference"], facts["reference's SHA-256"]) == (reference, reference_hash)
        for name, threshold in json.loads(point)["thresholds"].items():
            assert f"{name} {threshold:.2f}" in facts["thresholds"]
    first = inspections[1][0]
    detections = sql(
        "SELECT detected_class, confidence_score, bbox_x_center, bbox_y_center FROM defect_logs "
        "WHERE inspection_id = :key ORDER BY confidence_score DESC",
        key=first,
    )
    shown = rows_of(page, "detections-1")
    assert [(row[0], row[2]) for row in shown] == [(name, f"{x:.4f}, {y:.4f}") for name, _, x, y in detections]
    assert [float(row[1]) for row in shown] == pytest.approx([c for _, c, _, _ in detections], abs=1e-3)
    said = sql(
        "SELECT substr(decided_at, 1, 19), reviewer, disposition FROM dispositions WHERE inspection_id = :key "
        "ORDER BY decided_at",
        key=first,
    )
    assert [tuple(row[:3]) for row in rows_of(page, "dispositions-1")] == said
