"""Reviewers of a simulated line before a real service: they tell what the model missed on boards that failed."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from copperline.client import Client
from copperline.detections import Detections
from copperline.line.simulated_boards import DrawnBoards, MadeBoard
from copperline.line.simulation import SimulatedLine, Takt
from copperline.taxonomy import DEEPPCB, Call, Disposition
from copperline.warehouse import list_boards, plant_counts, trace_board
from copperline.warehouse.board_filter import BoardFilter

SIZE = 320


class WithMore(DrawnBoards):
    """Says of each defective board that it has a defect more, in the corner and partly outside, where nothing is."""

    def board(self, station: int, number: int) -> MadeBoard:
        made = super().board(station, number)
        if not len(made.labels):
            return made
        boxes = np.concatenate([made.labels.boxes, [[SIZE - 10, SIZE - 12, SIZE + 10, SIZE]]])
        return dataclasses.replace(made, labels=Detections.of(boxes, [*made.labels.class_ids, 1]))


def test_what_no_detection_overlaps_is_marked_on_failed_boards(service: Any) -> None:
    source = WithMore(1, run="R", defective=0.8, size=SIZE)
    takt = Takt(seconds=0.02, boards=12, reviewed=1.0)
    line = SimulatedLine(lambda: Client(service.url), source, 1, takt)
    line.prepare()
    with line.running():
        while not line.done:
            time.sleep(0.02)
    made = {(board := source.board(0, number)).board_id: board for number in range(12)}
    failed = 0
    for row in list_boards(service.engine, BoardFilter(), limit=100):
        inspection = trace_board(service.engine, row.board_id).inspections[0]
        if row.board_id not in made or inspection.call is not Call.FAIL:
            continue
        marked = [
            (said.corrected_class, np.round(np.multiply(said.box, SIZE), 3).tolist())
            for said in inspection.dispositions
            if said.disposition is Disposition.ESCAPE and said.box is not None
        ]
        # Cut to the image: x_center, y_center, width, height.
        in_corner = (DEEPPCB[1].name, [SIZE - 5, SIZE - 6, 10, 12])
        assert (in_corner in marked) == (len(made[row.board_id].labels) > 0)
        assert len(marked) <= len(made[row.board_id].labels)
        assert all(detection.disposition is not None for detection in inspection.detections)
        failed += bool(marked)
    assert failed >= 2
    assert plant_counts(service.engine).awaiting_review == 0
