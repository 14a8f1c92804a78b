"""Choosing the operating point on validation."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch

from copperline.data import BoardPair
from copperline.detections import Detections
from copperline.taxonomy import DEEPPCB
from copperline.training import TrainConfig, train
from copperline.training.validation import choose_and_measure

CONFIG = TrainConfig(
    epochs=20,
    crop_size=64,
    crops_per_pair=8,
    batch_size=16,
    warmup_steps=4,
    ema_decay=0.8,
    reference_dropout=0,
    precision="float32",
)


def test_defect_free_boards_of_training_count_in_the_choice_alone(tiny_pairs: list[BoardPair], tmp_path: Path) -> None:
    network = train(tiny_pairs, DEEPPCB, CONFIG, tmp_path).network
    with torch.no_grad():  # so short a training ranks right, but is sure of nothing
        network.head.class_branches[0][-1].bias += 3
    alone = choose_and_measure(network, tiny_pairs[:4], DEEPPCB, 0.995)
    assert "of 4 defect-free boards" in alone.operating_point.criterion

    # A defect that nobody labelled is a false call wherever it is detected.
    unlabelled = [replace(pair, labels=Detections.empty()) for pair in tiny_pairs[4:]]
    wider = choose_and_measure(network, tiny_pairs[:4], DEEPPCB, 0.995, unlabelled)
    told = re.search(r"false calls on (\d) of 8 defect-free boards", wider.operating_point.criterion)
    assert told is not None
    assert int(told[1]) >= 3  # of the 4 that show a defect
    assert wider.operating_point.criterion.endswith("4 of the defect-free boards are of training")
    assert (wider.false_call_boards, wider.clean_boards) == (alone.false_call_boards, 4) == (0, 4)
