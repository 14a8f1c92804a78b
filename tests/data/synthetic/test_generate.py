import numpy as np
import pytest

from copperline.data.synthetic import BoardStyle, generate_pairs, synthetic_pair
from copperline.errors import DataError, SettingsError


def test_a_seed_gives_one_pair() -> None:
    test, reference, labels = synthetic_pair(11, 192)
    again = synthetic_pair(11, 192)
    other = synthetic_pair(12, 192)
    assert test.shape == reference.shape == (192, 192)
    assert test.dtype == reference.dtype == np.uint8
    assert np.array_equal(test, again[0])
    assert np.array_equal(reference, again[1])
    assert labels == again[2]
    assert not np.array_equal(test, other[0])


def test_labels_lie_where_test_and_reference_differ() -> None:
    shown = total = 0
    for seed in range(20):
        test, reference, labels = synthetic_pair(seed, 320)
        for x1, y1, x2, y2 in labels.boxes.astype(int):
            differs = (test[y1:y2, x1:x2] < 128) != (reference[y1:y2, x1:x2] < 128)
            shown += differs.sum() >= 12
            total += 1
    assert total > 60
    assert shown / total > 0.97


def test_a_good_board_has_no_labels_and_still_differs_from_its_reference() -> None:
    test, reference, labels = synthetic_pair(3, 192, defective=False)
    assert len(labels) == 0
    assert not np.array_equal(test, reference)
    assert ((test < 128) != (reference < 128)).mean() < 0.15


def test_pairs_come_in_the_same_order_from_one_process_and_from_two() -> None:
    alone = list(generate_pairs(6, seed=5, size=96, processes=1, products=3))
    shared = list(generate_pairs(6, seed=5, size=96, processes=2, products=3))
    assert len(alone) == len(shared) == 6
    for a, b in zip(alone, shared, strict=True):
        assert np.array_equal(a[0], b[0])
        assert np.array_equal(a[1], b[1])
        assert a[2] == b[2]


def test_an_error_in_a_job_arrives() -> None:
    with pytest.raises(DataError, match="at least 64 px, found 8"):
        list(generate_pairs(2, size=8, processes=1))


def test_wrong_numbers_are_refused_at_the_call() -> None:
    with pytest.raises(SettingsError, match="at least 1 process, found 0"):
        generate_pairs(1, processes=0)
    with pytest.raises(SettingsError, match="count >= 0"):
        generate_pairs(-1)


def test_products_differ_and_repeat() -> None:
    styles = [BoardStyle.of_product(product) for product in range(30)]
    assert len(set(styles)) == 30
    assert styles == [BoardStyle.of_product(product) for product in range(30)]
