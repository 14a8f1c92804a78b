import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from copperline.data import BoardPair, read_pair
from copperline.detections import Detections
from copperline.errors import TrainingError
from copperline.training.augmentation import Crop
from copperline.training.batches import (
    ImageCache,
    batches,
    epoch_order,
    make_batch,
    micro_batches,
    shares,
    steps_per_epoch,
)
from copperline.training.config import TrainConfig

CONFIG = TrainConfig(crop_size=64, crops_per_pair=3, batch_size=4, seed=5)


def test_each_pair_is_shown_as_often_in_every_epoch() -> None:
    order = epoch_order(8, CONFIG, epoch=0)
    assert np.bincount(order).tolist() == [3] * 8
    assert not np.array_equal(order, epoch_order(8, CONFIG, epoch=1))
    assert np.array_equal(order, epoch_order(8, CONFIG, epoch=0))


def test_fewer_crops_than_a_batch_still_make_one(tiny_pairs: list[BoardPair]) -> None:
    config = CONFIG.model_copy(update={"batch_size": 64})
    assert steps_per_epoch(8, config) == 1
    ((first, second, third),) = batches(ImageCache(tiny_pairs, 10), config, 0)
    assert first.images.shape == (22, 3, 64, 64)
    assert (len(second.images), len(third.images)) == (21, 21)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_together_see_what_one_sees(tiny_pairs: list[BoardPair], workers: int) -> None:
    cache = ImageCache(tiny_pairs, 10)
    config = CONFIG.model_copy(update={"batch_size": 8, "micro_batch": 2})
    alone = list(batches(cache, config, 2))
    shared = [list(batches(cache, config, 2, rank=r, world_size=workers)) for r in range(workers)]
    assert len(alone) == 3
    for whole, *parts in zip(alone, *shared, strict=True):
        together = [batch for part in parts for batch in part]
        assert len(whole) == len(together) == 4
        for one, other in zip(whole, together, strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.targets.boxes, other.targets.boxes)


@given(st.integers(1, 200), st.integers(1, 60), st.integers(1, 12))
def test_each_crop_of_a_batch_goes_to_one_worker(batch_size: int, micro_batch: int, workers: int) -> None:
    config = TrainConfig(batch_size=batch_size, micro_batch=micro_batch)
    parts = micro_batches(config)
    assert [position for part in parts for position in part] == list(range(batch_size))
    assert max(map(len, parts)) <= micro_batch
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    if workers > len(parts):
        with pytest.raises(TrainingError, match="expected at most"):
            shares(config, workers)
        return
    taken = [parts[share] for share in shares(config, workers)]
    assert [part for share in taken for part in share] == parts
    assert all(taken)


def test_an_epoch_can_begin_in_its_middle(tiny_pairs: list[BoardPair]) -> None:
    cache = ImageCache(tiny_pairs, 10)
    whole, rest = list(batches(cache, CONFIG, 1)), list(batches(cache, CONFIG, 1, first=4))
    assert len(rest) == len(whole) - 4
    assert torch.equal(whole[4][0].images, rest[0][0].images)


def test_preparing_ahead_changes_nothing(tiny_pairs: list[BoardPair]) -> None:
    cache = ImageCache(tiny_pairs, 10)
    for (inline,), (threaded,) in zip(batches(cache, CONFIG, 1), batches(cache, CONFIG, 1, ahead=3), strict=True):
        assert torch.equal(inline.images, threaded.images)


def test_batch_layout() -> None:
    test, reference = np.full((32, 32), 200, np.uint8), np.full((32, 32), 250, np.uint8)
    labels = Detections.of([[1, 2, 3, 4], [5, 6, 7, 8]], [0, 5])
    batch = make_batch([Crop(test, reference, labels), Crop(test, None, Detections.empty())])
    assert batch.images[0, :, 0, 0].tolist() == [200, 250, 50]
    assert batch.images[1, :, 0, 0].tolist() == [200, 0, 0]
    assert batch.targets.mask.tolist() == [[True, True], [False, False]]
    assert batch.targets.boxes[0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert batch.targets.classes[0].tolist() == [0, 5]


def test_cache_keeps_to_its_budget(tiny_pairs: list[BoardPair]) -> None:
    reads: list[str] = []

    def read(pair: BoardPair):
        reads.append(pair.board_id)
        return np.zeros((512, 1024), np.uint8), np.zeros((512, 1024), np.uint8)

    cache = ImageCache(tiny_pairs, 2, read)
    for _ in range(2):
        for i in range(3):
            cache[i]
    assert reads == ["0", "1", "2", "2"]  # 1 MiB a pair: two fit, the third is read again
    assert read_pair(tiny_pairs[0])[0].shape == (128, 128)
