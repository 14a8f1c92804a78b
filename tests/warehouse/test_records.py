from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.warehouse import InspectionRecord, inference_id_for, inspection_id_for

PARTS = st.tuples(st.text(), st.text(), st.none() | st.text(), st.text(), st.text(), st.text())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(PARTS, PARTS)
def test_ids_are_equal_exactly_for_equal_parts(first: Any, second: Any) -> None:
    assert (inspection_id_for(*first) == inspection_id_for(*second)) == (first == second)


def test_parts_do_not_run_together() -> None:
    assert inspection_id_for("ab", "c", None, "m", "1", "{}") != inspection_id_for("a", "bc", None, "m", "1", "{}")
    assert inspection_id_for("a", "b", None, "m", "1", "{}") != inspection_id_for("a", "b", "", "m", "1", "{}")


def test_ids_are_the_same_in_another_process() -> None:
    code = (
        "from copperline.warehouse import *; i = inspection_id_for('B', 'a', None, 'm', '1', '{}');"
        "print(i, inference_id_for(i, 0))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    here = inspection_id_for("B", "a", None, "m", "1", "{}")
    assert printed == [here, inference_id_for(here, 0)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inspected_at": datetime(2026, 3, 1)}, "time zone"),
        ({"width": 0}, "image size"),
        ({"latency_ms": math.nan}, "finite latency_ms"),
        ({"registration_score": math.inf}, "finite registration_score"),
    ],
)
def test_wrong_values_are_refused(
    inspection: Callable[..., InspectionRecord], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        inspection("B1", **changes)
