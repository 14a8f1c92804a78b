"""Quality figures of inspected boards: pure functions with formula, unit, denominator and interval."""

from copperline.evaluation.intervals import Interval, wilson_interval
from copperline.quality.agreement import Agreement, ReviewerAgreement, cohen_kappa, reviewer_agreement
from copperline.quality.baseline_drift import ClassDrift, class_drift, drift_from_baseline, why_not_measured
from copperline.quality.change import Change, rate_change
from copperline.quality.control_charts import (
    ChartPoint,
    ControlChart,
    Dispersion,
    Subgroup,
    measure_dispersion,
    p_chart,
    u_chart,
)
from copperline.quality.drift import Drift, histogram_drift
from copperline.quality.intervals import difference_interval, poisson_interval
from copperline.quality.rates import (
    ParetoRow,
    Rate,
    class_defect_rate,
    defect_rate,
    dpmo,
    dpmo_of_products,
    dpu,
    escape_rate,
    false_call_ppm,
    false_call_rate,
    false_discovery_rate,
    machine_yield,
    pareto,
    poisson_yield,
    reviewed_yield,
    withheld_rate,
)
from copperline.quality.rolled_yield import RolledYield, rolled_throughput_yield
from copperline.quality.western_electric import WESTERN_ELECTRIC_RULES, Alarm, western_electric_alarms

__all__ = [
    "WESTERN_ELECTRIC_RULES",
    "Agreement",
    "Alarm",
    "Change",
    "ChartPoint",
    "ClassDrift",
    "ControlChart",
    "Dispersion",
    "Drift",
    "Interval",
    "ParetoRow",
    "Rate",
    "ReviewerAgreement",
    "RolledYield",
    "Subgroup",
    "class_defect_rate",
    "class_drift",
    "cohen_kappa",
    "defect_rate",
    "difference_interval",
    "dpmo",
    "dpmo_of_products",
    "dpu",
    "drift_from_baseline",
    "escape_rate",
    "false_call_ppm",
    "false_call_rate",
    "false_discovery_rate",
    "histogram_drift",
    "machine_yield",
    "measure_dispersion",
    "p_chart",
    "pareto",
    "poisson_interval",
    "poisson_yield",
    "rate_change",
    "reviewed_yield",
    "reviewer_agreement",
    "rolled_throughput_yield",
    "u_chart",
    "western_electric_alarms",
    "why_not_measured",
    "wilson_interval",
    "withheld_rate",
]
