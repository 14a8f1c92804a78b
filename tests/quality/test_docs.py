from __future__ import annotations

import doctest
import inspect
from pathlib import Path

from copperline import quality

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quality.md"


def test_the_examples_of_the_page_are_true() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert result.attempted > 15
    assert result.failed == 0


def test_every_function_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    functions = [name for name in quality.__all__ if inspect.isfunction(getattr(quality, name))]
    assert [name for name in functions if f"`{name}" not in text] == []
    assert len(functions) > 20
