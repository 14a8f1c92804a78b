"""`copperline snowflake costs`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from copperline.cli.options import JsonOption, print_json, print_table, say, settings_for
from copperline.snowflake.costs import AS_OF, Prices, Use, monthly_cost

_USE = Use()


def costs(
    warehouse_hours: Annotated[
        float, typer.Option(help="Hours a month that the virtual warehouse runs.")
    ] = _USE.warehouse_hours,
    node_hours: Annotated[float, typer.Option(help="Hours a month times nodes of the compute pool.")] = _USE.node_hours,
    dashboard_hours: Annotated[
        float, typer.Option(help="Hours a month that the dashboard's container runs; it ends three days after a visit.")
    ] = _USE.dashboard_hours,
    storage_tb: Annotated[float, typer.Option(help="Mean TB on stage and in tables.")] = _USE.storage_tb,
    credit_price: Annotated[float | None, typer.Option(help="USD a credit, of your contract.")] = None,
    storage_price: Annotated[float | None, typer.Option(help="USD a TB and month, of your contract.")] = None,
    warehouse_rate: Annotated[float | None, typer.Option(help="Credits an hour of the warehouse.")] = None,
    node_rate: Annotated[float | None, typer.Option(help="Credits an hour of one node.")] = None,
    dashboard_rate: Annotated[float | None, typer.Option(help="Credits an hour of the dashboard's node.")] = None,
    json_: JsonOption = False,
) -> None:
    """Compute what a month costs, from published rates and your prices; needs no account."""
    names = settings_for(None).snowflake
    use = Use(warehouse_hours, node_hours, dashboard_hours, storage_tb)
    prices = Prices(warehouse_rate, node_rate, dashboard_rate, credit_price, storage_price)
    lines = monthly_cost(names, use, prices)
    total = sum(line.usd for line in lines)
    if json_:
        print_json({"as_of": AS_OF, "lines": [asdict(line) for line in lines], "usd": total})
        return
    print_table("A month", ("what", "how", "USD"), [(line.what, line.arithmetic, f"{line.usd:,.2f}") for line in lines])
    rates = dict.fromkeys(rate for line in lines for rate in line.rates)
    limit = f"stops at {names.credit_quota} credits" if names.credit_quota else "has no limit"
    say(
        f"{total:,.2f} USD a month. The warehouse {limit} a month; a compute pool has no such limit.",
        f"Rates of {AS_OF}:",
        *(
            f"  {rate.value:g} {rate.unit}: {rate.source}{'' if rate.confirmed else ' (not confirmed)'}"
            for rate in rates
        ),
        "Next: put in your contract's figures with --credit-price, --storage-price and --node-rate.",
    )
