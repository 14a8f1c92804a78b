import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import Detections
from copperline.training.augmentation import sample_crop
from copperline.training.config import TrainConfig

CONFIG = TrainConfig(crop_size=64, clean_share=0, reference_dropout=0, reference_jitter=0, rescan=0)


def board(seed: int, size: int = 160) -> tuple[np.ndarray, np.ndarray, Detections]:
    """Each defect is a filled rectangle of its own grey value, exactly as large as its box."""
    rng = np.random.default_rng(seed)
    reference = np.full((size, size), 255, np.uint8)
    test, boxes = reference.copy(), []
    for i in range(4):
        x, y = (int(v) for v in rng.integers(0, size - 20, 2))
        w, h = (int(v) for v in rng.integers(6, 20, 2))
        test[y : y + h, x : x + w] = 40 * i
        boxes.append([x, y, x + w, y + h])
    return test, reference, Detections.of(boxes, [0, 1, 2, 3])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_boxes_follow_the_pixels_through_crop_flip_and_turn(seed: int) -> None:
    test, reference, labels = board(seed)
    crop = sample_crop(np.random.default_rng(seed), test, reference, labels, CONFIG)
    assert crop.test.shape == (64, 64)
    for box, class_id in zip(crop.labels.boxes.astype(int), crop.labels.class_ids, strict=True):
        x1, y1, x2, y2 = box
        # Later rectangles may lie over earlier ones; what is inside the box is never background.
        assert (crop.test[y1:y2, x1:x2] < 255).all()
        assert class_id in range(4)
    outside = np.ones((64, 64), bool)
    for x1, y1, x2, y2 in crop.labels.boxes.astype(int):
        outside[y1:y2, x1:x2] = False
    stray = (crop.test < 255) & outside
    assert stray.sum() < 0.4 * 20 * 20 * 4  # only slivers of boxes that the edge cut away


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_crop_is_around_a_defect_when_asked(seed: int) -> None:
    test, reference, labels = board(seed)
    config = CONFIG.model_copy(update={"near_defect": 1.0})
    assert len(sample_crop(np.random.default_rng(seed), test, reference, labels, config).labels) >= 1


def test_clean_crops_show_the_reference_and_have_no_label() -> None:
    test, reference, labels = board(3)
    config = CONFIG.model_copy(update={"clean_share": 1.0})
    for seed in range(10):
        crop = sample_crop(np.random.default_rng(seed), test, reference, labels, config)
        assert len(crop.labels) == 0
        assert (crop.test == 255).all()


def test_reference_dropout_and_jitter() -> None:
    test, reference, labels = board(5)
    reference[:, 80:] = 0
    dropped = CONFIG.model_copy(update={"reference_dropout": 1.0})
    assert sample_crop(np.random.default_rng(0), test, reference, labels, dropped).reference is None
    jittered = CONFIG.model_copy(update={"reference_jitter": 2.0})
    rng_states = range(12)
    plain = [sample_crop(np.random.default_rng(s), test, reference, labels, CONFIG).reference for s in rng_states]
    moved = [sample_crop(np.random.default_rng(s), test, reference, labels, jittered).reference for s in rng_states]
    assert any(not np.array_equal(a, b) for a, b in zip(plain, moved, strict=True))


def test_same_state_gives_the_same_crop() -> None:
    test, reference, labels = board(7)
    first, second = (sample_crop(np.random.default_rng(1), test, reference, labels, CONFIG) for _ in range(2))
    assert np.array_equal(first.test, second.test)
    assert first.labels == second.labels


def test_board_smaller_than_the_crop_is_continued_by_its_edge() -> None:
    test = np.full((40, 50), 7, np.uint8)
    crop = sample_crop(np.random.default_rng(0), test, None, Detections.empty(), CONFIG)
    assert crop.test.shape == (64, 64)
    assert (crop.test == 7).all()


def test_original_images_are_not_changed() -> None:
    test, reference, labels = board(9)
    before = test.copy()
    config = CONFIG.model_copy(update={"clean_share": 1.0})
    for seed in range(5):
        sample_crop(np.random.default_rng(seed), test, reference, labels, config)
    assert np.array_equal(test, before)


@pytest.mark.parametrize("seed", range(3))
def test_labels_stay_inside_the_crop(seed: int) -> None:
    test, reference, labels = board(seed)
    crop = sample_crop(np.random.default_rng(seed), test, reference, labels, CONFIG)
    assert (crop.labels.boxes >= 0).all()
    assert (crop.labels.boxes <= 64).all()


def test_rescan_moves_the_edges_of_binarised_images_only() -> None:
    test, reference, labels = board(11)
    test = np.where(test < 255, 0, 255).astype(np.uint8)
    near = CONFIG.model_copy(update={"near_defect": 1.0})
    config = near.model_copy(update={"rescan": 1.0})
    plain = sample_crop(np.random.default_rng(0), test, reference, labels, near)
    rescanned = sample_crop(np.random.default_rng(0), test, reference, labels, config)
    assert set(np.unique(rescanned.test)) <= {0, 255}
    changed = (rescanned.test < 128).sum() / (plain.test < 128).sum()
    assert 0.5 < changed < 1.5  # the defects are still there
    grey = np.full_like(test, 128)
    assert (sample_crop(np.random.default_rng(0), grey, None, labels, config).test == 128).all()


def test_training_looks_at_false_calls_as_at_defects() -> None:
    test, reference, _ = board(5, 640)
    place = Detections.of([[600, 20, 620, 40]], [2])
    test[20:40, 600:620] = 7
    config = CONFIG.model_copy(update={"near_defect": 1.0})
    for seed in range(10):
        rng = np.random.default_rng(seed)
        crop = sample_crop(rng, test, reference, Detections.empty(), config, place)
        assert (crop.test == 7).sum() == 400
        assert len(crop.labels) == 0
