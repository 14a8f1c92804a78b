"""What a month on Snowflake costs: credits are hours times the rate of a size, money is credits times their price.

The rates are those that Snowflake publishes, as far as they could be looked up; a price depends on cloud, region,
edition and contract, and is for the reader to put in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from copperline.errors import SettingsError
from copperline.snowflake_settings import SnowflakeSettings

AS_OF = "November 2026"


@dataclass(frozen=True)
class Rate:
    """A figure and where it is from.

    Attributes:
        value: in `unit`.
        unit: what it is a number of.
        source: where it was read.
        confirmed: it was read in Snowflake's own documentation.
    """

    value: float
    unit: str
    source: str
    confirmed: bool


_WAREHOUSES = "docs.snowflake.com/en/user-guide/cost-understanding-compute"
_CONSUMPTION = "Snowflake's Service Consumption Table, as others quote it"
_QUOTED = "list price as others quote it"

WAREHOUSE_RATES = {
    size: Rate(float(2**step), "credits an hour", _WAREHOUSES, True)
    for step, size in enumerate(("XSMALL", "SMALL", "MEDIUM", "LARGE", "XLARGE"))
}
NODE_RATES = {
    family: Rate(value, "credits an hour and node", _CONSUMPTION, False)
    for family, value in {
        "CPU_X64_XS": 0.06,
        "CPU_X64_S": 0.11,
        "CPU_X64_M": 0.22,
        "CPU_X64_L": 0.83,
        "GPU_NV_S": 0.57,
        "GPU_NV_M": 2.68,
        "GPU_NV_L": 14.12,
    }.items()
}
# Of the nodes of SYSTEM_COMPUTE_POOL_CPU, where the dashboard runs unless `streamlit_pool` says otherwise.
DASHBOARD_FAMILY = "CPU_X64_S"
CREDIT_PRICE = Rate(3.0, "USD a credit", f"{_QUOTED}: Enterprise, AWS, US East", False)
STORAGE_PRICE = Rate(23.0, "USD a TB and month", f"{_QUOTED}: AWS, US East, paid in advance", False)


@dataclass(frozen=True)
class Use:
    """What is used in a month."""

    warehouse_hours: float = 40.0  # the dashboard is looked at for two hours of each working day
    node_hours: float = 10.0  # five trainings of two hours on one node
    dashboard_hours: float = 730.0  # its container runs until three days after the last visit: so all the time
    storage_tb: float = 0.1


@dataclass(frozen=True)
class Prices:
    """What replaces the published figures; None: the published one."""

    warehouse_rate: float | None = None
    node_rate: float | None = None
    dashboard_rate: float | None = None
    credit: float | None = None
    storage_tb: float | None = None


@dataclass(frozen=True)
class CostLine:
    """One line of the bill.

    Attributes:
        what: is paid for.
        arithmetic: how it comes about, to be checked by hand.
        usd: of the month.
        rates: that it rests on.
    """

    what: str
    arithmetic: str
    usd: float
    rates: tuple[Rate, ...]


def monthly_cost(names: SnowflakeSettings, use: Use, prices: Prices) -> list[CostLine]:
    """The lines of a month's bill; their sum is the bill.

    Raises:
        SettingsError: a figure is negative or not finite, or nothing is known of the kind of node.
    """
    _require_positive({**vars(use), **{name: value for name, value in vars(prices).items() if value is not None}})
    warehouse = _rate(prices.warehouse_rate, WAREHOUSE_RATES[names.warehouse_size])
    credit = _rate(prices.credit, CREDIT_PRICE)
    storage = _rate(prices.storage_tb, STORAGE_PRICE)
    node = _rate(prices.node_rate, _node_rate(names, prices))
    dashboard = _rate(prices.dashboard_rate, NODE_RATES[DASHBOARD_FAMILY])
    return [
        _in_credits(f"warehouse {names.warehouse_size}", use.warehouse_hours, warehouse, credit),
        _in_credits(f"compute pool {names.instance_family}", use.node_hours, node, credit),
        _in_credits(f"dashboard on {names.streamlit_pool}", use.dashboard_hours, dashboard, credit),
        CostLine(
            "storage",
            f"{use.storage_tb:g} TB x {storage.value:g}",
            use.storage_tb * storage.value,
            (storage,),
        ),
    ]


def _in_credits(what: str, hours: float, rate: Rate, credit: Rate) -> CostLine:
    used = hours * rate.value
    arithmetic = f"{hours:g} h x {rate.value:g} = {used:g} credits x {credit.value:g}"
    return CostLine(what, arithmetic, used * credit.value, (rate, credit))


def _node_rate(names: SnowflakeSettings, prices: Prices) -> Rate:
    rate = NODE_RATES.get(names.instance_family)
    if rate is None and prices.node_rate is None:
        raise SettingsError(
            f"expected one of {', '.join(NODE_RATES)}, whose rates are known, found {names.instance_family}",
            where="instance_family",
            fix="give --node-rate with the credits an hour of Snowflake's Service Consumption Table",
        )
    return rate or Rate(0.0, "credits an hour and node", "", False)


def _rate(given: float | None, published: Rate) -> Rate:
    return published if given is None else Rate(given, published.unit, "given", True)


def _require_positive(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        if not math.isfinite(value) or value < 0:
            raise SettingsError(
                f"expected a number that is 0 or more, found {value}", where=name.replace("_", " "), fix="correct it"
            )
