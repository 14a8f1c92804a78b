"""docs/scale.md is what the measured figures come to."""

import importlib.util
from pathlib import Path

from copperline.cluster import Plant, capacity, read_measured

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "scale_doc.py"


def test_the_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("scale_doc", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.TARGET.read_text(encoding="utf-8") == script.render(), "run python scripts/scale_doc.py"


def test_the_figures_that_come_with_the_package_are_enough_for_both_databases() -> None:
    measured = read_measured()
    for database in ("sqlite", "postgresql"):
        assert capacity(measured, Plant(database=database))["cores"] >= 1
