"""Quality figures of inspected boards: pure functions with formula, unit, denominator and interval."""

from copperline.evaluation.intervals import Interval, wilson_interval
from copperline.quality.rates import (
    ParetoRow,
    Rate,
    defect_rate,
    dpmo,
    dpu,
    escape_rate,
    false_call_rate,
    false_discovery_rate,
    machine_yield,
    pareto,
)

__all__ = [
    "Interval",
    "ParetoRow",
    "Rate",
    "defect_rate",
    "dpmo",
    "dpu",
    "escape_rate",
    "false_call_rate",
    "false_discovery_rate",
    "machine_yield",
    "pareto",
    "wilson_interval",
]
