"""The bill is hours times rates, and says where the rates are from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.errors import SettingsError
from copperline.snowflake.costs import NODE_RATES, WAREHOUSE_RATES, Prices, Use, monthly_cost
from copperline.snowflake_settings import SnowflakeSettings

NAMES = SnowflakeSettings()


def test_a_bill_by_hand() -> None:
    given_prices = Prices(warehouse_rate=2.0, node_rate=3.0, dashboard_rate=0.5, credit=4.0, storage_tb=20.0)
    use = Use(warehouse_hours=10, node_hours=5, dashboard_hours=7, storage_tb=0.5)
    lines = monthly_cost(NAMES, use, given_prices)
    assert [line.usd for line in lines] == [10 * 2 * 4, 5 * 3 * 4, 7 * 0.5 * 4, 0.5 * 20]
    assert lines[0].arithmetic == "10 h x 2 = 20 credits x 4"
    assert all(rate.source == "given" for line in lines for rate in line.rates)


def test_sizes_cost_twice_the_one_before() -> None:
    rates = [rate.value for rate in WAREHOUSE_RATES.values()]
    assert rates == [1, 2, 4, 8, 16]


def test_what_is_not_confirmed_says_so() -> None:
    assert not any(rate.confirmed for rate in NODE_RATES.values())
    assert all(rate.source for line in monthly_cost(NAMES, Use(), Prices()) for rate in line.rates)


hours = st.floats(0, 1e6, allow_nan=False)


@given(hours, hours, hours, hours)
def test_twice_the_use_is_twice_the_bill(warehouse: float, nodes: float, dashboard: float, storage: float) -> None:
    def bill(factor: float) -> float:
        use = Use(warehouse * factor, nodes * factor, dashboard * factor, storage * factor)
        return sum(line.usd for line in monthly_cost(NAMES, use, Prices()))

    assert bill(2) == pytest.approx(2 * bill(1))


@pytest.mark.parametrize(
    ("use", "prices", "where"),
    [
        (Use(warehouse_hours=-1), Prices(), "warehouse hours"),
        (Use(storage_tb=float("nan")), Prices(), "storage tb"),
        (Use(), Prices(credit=float("inf")), "credit"),
    ],
)
def test_what_is_no_quantity_is_refused(use: Use, prices: Prices, where: str) -> None:
    with pytest.raises(SettingsError, match=where):
        monthly_cost(NAMES, use, prices)


def test_an_unknown_kind_of_node_needs_its_rate() -> None:
    names = SnowflakeSettings(instance_family="GPU_NEW")
    with pytest.raises(SettingsError, match=r"GPU_NEW.*--node-rate"):
        monthly_cost(names, Use(), Prices())
    assert monthly_cost(names, Use(node_hours=2), Prices(node_rate=5.0))[1].usd == 2 * 5 * 3
