"""Writes the tables of docs/snowflake.md: `python scripts/snowflake_doc.py`. A test fails when they are stale.

The text of the page is the page's own; what stands between `<!-- NAME -->` and `<!-- end -->` is from here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from copperline.snowflake.costs import AS_OF, Prices, Use, monthly_cost
from copperline.snowflake.objects import AccountObject
from copperline.snowflake_settings import SnowflakeSettings
from copperline.workflows.snowflake_account import objects_of

TARGET = Path(__file__).parents[1] / "docs" / "snowflake.md"
# With all that is left out by default.
NAMES = SnowflakeSettings(git_url="https://git.example/boards/copperline")


def render() -> str:
    """The whole page, with its tables as they have to be."""
    objects = objects_of(NAMES)
    text = TARGET.read_text(encoding="utf-8")
    parts = {"objects": _objects(objects), "grants": _grants(objects), "costs": _costs()}
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, found = re.subn(pattern, lambda match, part=part: match[1] + part + match[2], text, flags=re.DOTALL)
        if found != 1:
            raise SystemExit(f"expected one part <!-- {name} --> in {TARGET}, found {found}")
    return text


def _objects(objects: Sequence[AccountObject]) -> str:
    rows = []
    for thing in objects:
        if thing.kind == "TABLE":
            continue
        needs = thing.make[0].needs if thing.make else ""
        why = thing.make[0].why if thing.make else f"`copperline snowflake {thing.maker}` makes it"
        rows.append((thing.kind.lower(), f"`{thing.name}`", thing.owner, _code(needs), why))
    privilege = f"CREATE TABLE ON SCHEMA {NAMES.schema_in_sql}"
    rows.insert(
        -5,
        (
            "table",
            "the warehouse's",
            NAMES.role,
            _code(privilege),
            "[boards, inspections, defects, reviews](warehouse.md)",
        ),
    )
    return _table(("kind", "name", "made and owned by", "needs", "what it is for"), rows)


def _code(needs: str) -> str:
    plain = needs.replace('"', "")
    privilege, comma, rest = plain.partition(", ")
    return f"`{privilege}`{comma}{rest}" if plain else ""


def _grants(objects: Sequence[AccountObject]) -> str:
    granted: dict[tuple[str, str], list[str]] = {}
    for thing in objects:
        for statement in thing.make:
            match = re.fullmatch(r'GRANT (.*) ON ([A-Z ]+) (\S+) TO ROLE "(\w+)"', statement.sql)
            if match:
                where = "all tables but those of the service itself" if thing.kind == "TABLE" else thing.kind.lower()
                granted.setdefault((match[4], where), []).append(match[1])
    rows = [
        (f"`{role}`", where, ", ".join(f"`{privilege}`" for privilege in dict.fromkeys(privileges)))
        for (role, where), privileges in sorted(granted.items())
    ]
    return _table(("role", "on", "may"), rows)


def _costs() -> str:
    use = Use()
    lines = monthly_cost(SnowflakeSettings(), use, Prices())
    rows = [(line.what, line.arithmetic, f"{line.usd:,.2f}") for line in lines]
    rows.append(("together", "", f"{sum(line.usd for line in lines):,.2f}"))
    rates = dict.fromkeys(rate for line in lines for rate in line.rates)
    sources = [(f"{rate.value:g} {rate.unit}", rate.source, "yes" if rate.confirmed else "**no**") for rate in rates]
    return (
        _table(("a month", "how", "USD"), rows)
        + f"\nRates of {AS_OF}:\n\n"
        + _table(("rate", "from", "read in Snowflake's own documentation"), sources)
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
