from __future__ import annotations

import numpy as np
import pytest

from copperline.data.synthetic.production import Product
from copperline.reference import register


@pytest.fixture(scope="module")
def product() -> Product:
    return Product(3, 1, 320)


def test_the_same_board_is_the_same_and_another_is_another_scan(product: Product) -> None:
    again = Product(3, 1, 320)
    assert np.array_equal(product.golden, again.golden)
    first, same, other = product.board(5)[0], again.board(5)[0], product.board(6)[0]
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_good_board_registers_with_its_golden_image_and_not_with_another_products(product: Product) -> None:
    stranger = Product(3, 2, 320).golden
    for number in range(5):
        image, labels = product.board(number)
        assert len(labels) == 0
        assert register(image, product.golden).score > 0.8
        assert register(image, stranger).score < 0.6


def test_defects_lie_in_their_boxes(product: Product) -> None:
    """Outside of the boxes a defective board differs from its good twin no more than two scans do."""
    for number in range(6):
        image, labels = product.board(number, defects=2)
        assert 1 <= len(labels) <= 2
        difference = np.abs(image.astype(int) - register(image, product.golden).reference.astype(int)) > 128
        for x1, y1, x2, y2 in labels.boxes.astype(int):
            assert difference[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2].any()
            difference[max(0, y1 - 3) : y2 + 3, max(0, x1 - 3) : x2 + 3] = False
        assert difference.mean() < 0.03


def test_images_are_of_the_size_that_was_asked(product: Product) -> None:
    image, _ = Product(0, 0, 100).board(0, defects=1)
    assert image.shape == (100, 100)
    assert image.dtype == product.golden.dtype == np.uint8
    assert set(np.unique(product.golden)) == {0, 255}
