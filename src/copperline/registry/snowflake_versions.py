"""What the Snowflake Model Registry tells of a model's versions, and how it says no."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from copperline.errors import ModelError, SnowflakeError, StageError
from copperline.registry.card import ModelCard
from copperline.registry.card_figures import card_measurements
from copperline.snowflake.failures import snowflake_errors

_VERSION = re.compile(r"V([1-9]\d*)")
_OWN_ALIASES = frozenset({"DEFAULT", "FIRST", "LAST"})


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A row of SHOW VERSIONS; sha256 None: it is no version of Copperline's."""

    name: str
    aliases: tuple[str, ...]
    created_at: datetime
    sha256: str | None

    @property
    def number(self) -> int | None:
        found = _VERSION.fullmatch(self.name)
        return None if found is None else int(found[1])


@contextmanager
def registry_errors(where: str) -> Iterator[None]:
    """Raises what an account refuses as the ModelError that every registry raises.

    Snowflake ML says with a ValueError too what an account lacks or has already.
    """
    try:
        with snowflake_errors(where):
            yield
    except (SnowflakeError, StageError) as error:
        raise ModelError(error.problem, where=error.where or where, fix=error.fix) from error
    except ValueError as error:
        words = " ".join(str(error).split())[:300].rstrip(".")
        raise ModelError(f"Snowflake refuses: {words}", where=where, fix="see docs/snowflake.md") from error


def listed_version(row: Mapping[str, Any]) -> ListedVersion:
    """From a row of SHOW VERSIONS; what is missing or no JSON counts as empty."""
    found = _json(row.get("aliases"))
    aliases = {str(alias) for alias in found if isinstance(found, list)} - _OWN_ALIASES
    metadata = _json(row.get("metadata"))
    metrics = metadata.get("metrics") if isinstance(metadata, dict) else None
    sha256 = metrics.get("sha256") if isinstance(metrics, dict) else None
    created: datetime = row["created_on"]
    return ListedVersion(
        name=str(row["name"]),
        aliases=tuple(sorted(alias.lower() for alias in aliases)),
        created_at=created.replace(tzinfo=UTC) if created.tzinfo is None else created.astimezone(UTC),
        sha256=sha256 if isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256) else None,
    )


def version_metrics(card: ModelCard, sha256: str, run_id: str | None) -> dict[str, Any]:
    """The card's figures by what they were measured on, beside what the registry needs to know of the file."""
    found: dict[str, Any] = {"sha256": sha256, "data_sha256": card.data_hash}
    if run_id is not None:
        found["run_id"] = run_id
    for measured in card_measurements(card):
        figures = {name: figure.value for name, figure in measured.figures.items() if figure.value is not None}
        if figures:
            found[measured.measured_on] = figures
    return found


def _json(text: object) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else {}
    except json.JSONDecodeError:
        return {}
