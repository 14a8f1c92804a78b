"""A model that differs must not pass the gate, however it differs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from copperline.errors import ModelError
from copperline.training.parity import check_parity

Predictions = NDArray[np.float32]


def trained(images: NDArray[np.float32]) -> Predictions:
    """Two confident boxes and one doubtful, wherever one looks."""
    boxes = np.array([[20, 20, 10, 10], [50, 40, 16, 12], [90, 90, 10, 10]], np.float32).T
    scores = np.array([[0.9, 0.05, 0.01], [0.02, 0.7, 0.03]], np.float32)
    return np.concatenate((boxes, scores))


INPUTS = [np.zeros((1, 3, 128, 128), np.float32)] * 3


def test_same_detections_pass() -> None:
    parity = check_parity(trained, lambda x: trained(x) + np.float32(1e-5), INPUTS, "m.onnx")
    assert (parity.passed, parity.images) == (True, 3)
    assert 0 < parity.max_difference < 1e-3
    assert "6 detections" in parity.note


@pytest.mark.parametrize(
    ("row", "column", "value", "says"),
    [
        (4, 0, 0.05, "detections against"),  # one is lost
        (0, 0, 21.0, "boxes differ by 0.5"),  # one is moved
        (4, 0, 0.897, "confidences differ"),
    ],
)
def test_any_difference_is_refused(row: int, column: int, value: float, says: str) -> None:
    def exported(images: NDArray[np.float32]) -> Predictions:
        predictions = trained(images)
        predictions[row, column] = value if row else 20.5
        return predictions

    with pytest.raises(ModelError, match=says) as error:
        check_parity(trained, exported, INPUTS, "m.onnx")
    assert "m.onnx" in str(error.value)
    assert "not registered" in str(error.value)


def test_another_class_is_refused() -> None:
    def exported(images: NDArray[np.float32]) -> Predictions:
        return trained(images)[[0, 1, 2, 3, 5, 4]]

    with pytest.raises(ModelError, match=r"m\.onnx"):
        check_parity(trained, exported, INPUTS, "m.onnx")
