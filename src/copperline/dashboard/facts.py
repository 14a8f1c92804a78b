"""Facts for the page About, without widgets: versions, data sets of the workspace, those of the shipped models."""

from __future__ import annotations

import platform
import sqlite3
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from copperline.data import SPLITS, SavedDataset
from copperline.data.store import saved_datasets
from copperline.errors import DataError
from copperline.registry import BUILTIN, ModelCard, builtin_model, builtin_models
from copperline.warehouse import SCHEMA_VERSION

NOT_INSTALLED = "not installed"
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class WorkspaceDataset:
    """A folder of the workspace that holds a data set, and what is known of it, or why it cannot be read."""

    folder: Path
    facts: SavedDataset | None
    failure: DataError | None = None


def versions() -> dict[str, str]:
    """What runs here -> its version."""
    return {
        "Copperline": _version("copperline"),
        "Python": platform.python_version(),
        "ONNX Runtime": _version("onnxruntime"),
        "Streamlit": _version("streamlit"),
        "SQLite": sqlite3.sqlite_version,
        "Warehouse schema": str(SCHEMA_VERSION),
    }


def workspace_datasets(datasets: Path) -> tuple[WorkspaceDataset, ...]:
    """The data sets below the folder `datasets`, sorted by name; a damaged one with its error."""
    return tuple(
        WorkspaceDataset(folder, None, found) if isinstance(found, DataError) else WorkspaceDataset(folder, found)
        for folder, found in saved_datasets(datasets).items()
    )


def split_table(facts: SavedDataset) -> list[Row]:
    """For each split: boards, board groups, and labelled defects of each class and in all."""
    report = facts.report
    rows: list[Row] = []
    for split in (s for s in SPLITS if s in report.boards):
        counts = report.class_counts.get(split, {})
        groups = len(report.groups.get(split, ()))
        labels = {name: counts.get(name, 0) for name in facts.classes}
        rows.append({"Split": split, "Boards": report.boards[split], "Groups": groups, **labels} | _sum(labels))
    return rows


def shipped_cards() -> dict[str, ModelCard]:
    """`builtin:NAME` -> card of each shipped model. Raises ModelError if one is damaged."""
    return {f"{BUILTIN}{name}": builtin_model(name).card for name in builtin_models()}


def card_table(card: ModelCard) -> list[Row]:
    """For each split with boards: boards, and how many board groups they are of, as the card says."""
    return [
        {"Split": split, "Boards": part.boards, "Groups": len(part.groups)}
        for split, part in card.splits.items()
        if part.boards
    ]


def card_groups(card: ModelCard) -> list[str]:
    """A line for each split: the names of its board groups."""
    return [f"Groups in {split}: {', '.join(part.groups)}." for split, part in card.splits.items() if part.groups]


def _sum(labels: dict[str, int]) -> Row:
    return {"All defects": sum(labels.values())}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return NOT_INSTALLED
