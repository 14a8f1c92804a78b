"""What the HTML pages of reports share: where their templates are, and how they write numbers."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

NOT_MEASURED = "not measured"


def environment() -> Environment:
    """Templates of this package, with the filters `per_cent`, `number` and `interval`; all else is escaped."""
    environment = Environment(
        loader=PackageLoader("copperline.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["per_cent"] = _per_cent
    environment.filters["number"] = _number
    environment.filters["interval"] = _interval
    return environment


def _per_cent(value: float | None, digits: int = 1) -> str:
    return NOT_MEASURED if value is None else f"{100 * value:.{digits}f} %"


def _number(value: float | None, digits: int = 2) -> str:
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def _interval(value: tuple[float, float] | None, digits: int = 1) -> str:
    return "" if value is None else f"{100 * value[0]:.{digits}f} to {100 * value[1]:.{digits}f} %"
