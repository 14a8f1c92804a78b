"""Crops with drawn defects in `sample_crop`."""

from __future__ import annotations

import numpy as np
import pytest

from copperline.data.synthetic import draw_board
from copperline.data.synthetic.styles import BoardStyle
from copperline.detections import Detections
from copperline.training.augmentation import Crop, sample_crop
from copperline.training.config import TrainConfig

CONFIG = TrainConfig(crop_size=192, drawn=1, clean_share=0, reference_dropout=0, reference_jitter=0, rescan=0)
LABELS = Detections.of([[20, 20, 60, 60]], [4])


@pytest.fixture(scope="module")
def golden() -> np.ndarray:
    return draw_board(BoardStyle.of_product(3), np.random.default_rng(3), 384).image((0.0, 0.0))


def crop(golden: np.ndarray, seed: int, config: TrainConfig = CONFIG, test: np.ndarray | None = None) -> Crop:
    return sample_crop(np.random.default_rng(seed), golden if test is None else test, golden, LABELS, config)


def outside_boxes(crop: Crop) -> np.ndarray:
    mask = np.ones(crop.test.shape, bool)
    for x1, y1, x2, y2 in crop.labels.boxes.astype(int):
        mask[y1:y2, x1:x2] = False
    return mask


def test_defects_are_drawn_into_the_reference_and_labelled(golden: np.ndarray) -> None:
    black = np.zeros_like(golden)  # the labelled test image is not shown
    crops = [crop(golden, seed, test=black) for seed in range(12)]
    assert np.mean([len(c.labels) for c in crops]) > 1
    assert len({int(class_id) for c in crops for class_id in c.labels.class_ids}) >= 4
    for shown in crops:
        assert shown.reference is not None
        assert (shown.test == shown.reference).mean() > 0.8
        for x1, y1, x2, y2 in shown.labels.boxes.astype(int):
            assert (shown.test != shown.reference)[y1:y2, x1:x2].sum() >= 8


def test_edges_differ_where_nothing_was_drawn(golden: np.ndarray) -> None:
    shares = []
    for seed in range(8):
        shown = crop(golden, seed)
        assert set(np.unique(shown.test)) <= {0, 255}
        shares.append((shown.test != shown.reference)[outside_boxes(shown)].mean())
    assert min(shares) > 0.0001
    assert np.mean(shares) > 0.0005


def test_as_many_crops_are_clean_as_asked(golden: np.ndarray) -> None:
    config = CONFIG.model_copy(update={"clean_share": 1.0})
    for seed in range(5):
        shown = crop(golden, seed, config)
        assert len(shown.labels) == 0
        assert 0 < (shown.test != shown.reference).mean() < 0.2


def test_share_of_drawn_crops(golden: np.ndarray) -> None:
    """Labelled crops of a black test image are black."""
    config = CONFIG.model_copy(update={"drawn": 0.3})
    drawn = [crop(golden, seed, config, np.zeros_like(golden)).test.any() for seed in range(120)]
    assert 0.15 < np.mean(drawn) < 0.45


def test_without_a_reference_the_labelled_defects_stay(golden: np.ndarray) -> None:
    config = CONFIG.model_copy(update={"near_defect": 1.0})
    shown = sample_crop(np.random.default_rng(0), golden, None, LABELS, config)
    assert shown.labels.class_ids.tolist() == [4]


def test_box_margin_is_that_of_the_settings(golden: np.ndarray) -> None:
    def mean_side(margin: float) -> float:
        config = CONFIG.model_copy(update={"box_margin": margin})
        boxes = np.concatenate([crop(golden, seed, config).labels.boxes for seed in range(8)])
        return float((boxes[:, 2:] - boxes[:, :2]).mean())

    assert mean_side(16) > mean_side(2) + 15


def test_crops_are_placed_where_there_is_copper() -> None:
    golden = np.full((900, 900), 255, np.uint8)
    golden[860:, 800:] = 0
    shown = []
    for near in (1.0, 0.0):
        config = CONFIG.model_copy(update={"near_defect": near})
        shown.append(sum((crop(golden, seed, config).reference < 128).any() for seed in range(60)))
    # 64 random places do not always find the little copper there is.
    assert shown[0] > 2 * shown[1]


def test_board_smaller_than_the_crop(golden: np.ndarray) -> None:
    small = golden[:100, :130].copy()
    shown = sample_crop(np.random.default_rng(2), small, small, Detections.empty(), CONFIG)
    assert shown.test.shape == (192, 192)
    assert (shown.labels.boxes <= 192).all()
