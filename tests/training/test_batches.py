import numpy as np
import torch

from copperline.data import BoardPair, read_pair
from copperline.detections import Detections
from copperline.training.augmentation import Crop
from copperline.training.batches import ImageCache, batches, epoch_order, make_batch, steps_per_epoch
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
    (batch,) = batches(ImageCache(tiny_pairs, 10), config, 0)
    assert batch.images.shape == (64, 3, 64, 64)


def test_two_processes_together_see_what_one_sees(tiny_pairs: list[BoardPair]) -> None:
    cache = ImageCache(tiny_pairs, 10)
    alone = list(batches(cache, CONFIG, 2))
    halves = [list(batches(cache, CONFIG, 2, rank=r, world_size=2)) for r in range(2)]
    assert len(alone) == 6
    for whole, first, second in zip(alone, *halves, strict=True):
        assert torch.equal(whole.images, torch.cat((first.images, second.images)))


def test_preparing_ahead_changes_nothing(tiny_pairs: list[BoardPair]) -> None:
    cache = ImageCache(tiny_pairs, 10)
    for inline, threaded in zip(batches(cache, CONFIG, 1), batches(cache, CONFIG, 1, ahead=3), strict=True):
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
