import os
import time

import cv2
import numpy as np
import pytest
import torch

from copperline.data import BoardPair
from copperline.errors import DataError, TrainingError
from copperline.training import crop_processes as module
from copperline.training.batches import ImageCache, batches
from copperline.training.config import TrainConfig
from copperline.training.crop_processes import crop_processes, in_processes

CONFIG = TrainConfig(crop_size=64, crops_per_pair=3, batch_size=4, micro_batch=2, seed=5, drawn=0.5)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 30.0)


def test_processes_give_what_one_gives_in_the_same_order(tiny_pairs: list[BoardPair]) -> None:
    cache = ImageCache(tiny_pairs, 10)
    alone = list(batches(cache, CONFIG, 1, first=1))
    together = list(batches(cache, CONFIG, 1, first=1, processes=2))
    assert len(alone) == len(together) == 5
    for ours, theirs in zip(alone, together, strict=True):
        assert len(ours) == len(theirs) == 2
        for one, other in zip(ours, theirs, strict=True):
            assert torch.equal(one.images, other.images)
            assert all(map(torch.equal, one.targets, other.targets))


def test_threads_of_opencv_do_not_make_them_wait(tiny_pairs: list[BoardPair]) -> None:
    cache = ImageCache(tiny_pairs, 10)
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        for epoch in range(3):  # once is not enough to see it
            cv2.warpAffine(np.zeros((2000, 2000), np.uint8), np.eye(2, 3), (2000, 2000))  # starts the threads
            assert len(list(batches(cache, CONFIG, epoch, processes=2))) == 6
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(before)


def test_images_are_read_once_for_all_processes(tiny_pairs: list[BoardPair]) -> None:
    reads: list[str] = []

    def read(pair: BoardPair):
        reads.append(pair.board_id)
        return np.zeros((128, 128), np.uint8), np.zeros((128, 128), np.uint8)

    cache = ImageCache(tiny_pairs, 10, read)
    for epoch in range(2):
        list(batches(cache, CONFIG, epoch, processes=2))
    assert reads == [pair.board_id for pair in tiny_pairs]  # in this process; nothing was left to read in the others


def test_an_error_of_a_process_is_the_one_that_people_read() -> None:
    def prepare(step: int) -> int:
        if step == 2:
            raise DataError("expected an image, found none", where="a.png", fix="restore it")
        return step

    given = []
    with pytest.raises(DataError) as raised:
        given.extend(in_processes(prepare, range(5), 2))
    assert str(raised.value) == "a.png: expected an image, found none; restore it"
    assert raised.value.fix == "restore it"


def test_a_process_that_dies_is_noticed() -> None:
    def prepare(step: int) -> int:
        if step == 3:
            os._exit(9)
        return step

    started = time.monotonic()
    with pytest.raises(TrainingError, match=r"a process that prepares crops is lost .*; free memory"):
        list(in_processes(prepare, range(6), 2))
    assert time.monotonic() - started < 25


def test_a_process_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 1.0)
    with pytest.raises(TrainingError, match="timed out after"):
        list(in_processes(lambda step: time.sleep(3), range(1), 1))


def test_processes_are_for_gpus() -> None:
    assert crop_processes(torch.device("cpu"), 1) == 0
    cores = os.cpu_count() or 1
    assert crop_processes(torch.device("cuda"), 1) == cores - 1
    assert crop_processes(torch.device("cuda"), 8 * cores) == 0
