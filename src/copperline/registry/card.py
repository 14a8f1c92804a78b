"""The model card: what a model is, what it was trained on, what it can and cannot do. It lies beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from copperline.errors import ModelError
from copperline.files import atomic_file
from copperline.model_info import OperatingPoint, Parity
from copperline.registry.baseline import Baseline
from copperline.taxonomy import Call

CARD_JSON = "card.json"
CARD_MARKDOWN = "card.md"
NOT_MEASURED = "not measured"
INTENDED_USE = (
    "Finding manufacturing defects on bare printed circuit boards by comparing a board's image with a golden "
    "reference, as one step of a quality process in which people review the calls."
)


class SplitCard(BaseModel):
    """One split of the training data set.

    Attributes:
        boards: number of board pairs.
        groups: the board groups in it; none is in two of train and val.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    boards: int = Field(ge=0)
    groups: tuple[str, ...] = ()


class ModelCard(BaseModel):
    """All that a person has to know before they trust a model version.

    Attributes:
        name: of the registered model, e.g. `pcb-detector`.
        network: e.g. `copperline-n`.
        parameters: number of trained weights.
        created_at: when training ended; stored as UTC.
        data_source: where the training data came from: a path's last part, a URL or `synthetic`.
        data_hash: SHA-256 of the training data set.
        splits: split name -> boards and groups.
        training: the settings of the run, e.g. `{"epochs": 60}`.
        metrics: as `copperline evaluate --json` gives them; None is shown as "not measured". A dict of dicts, such
            as `per_class`, becomes a table of its own.
        limitations: one sentence each.
        parity: None if the exported model was not compared.
        sha256: of the model file; registered versions keep it in the registry, a shipped model here.
        classes: names in class-id order.
        command: that trained it, with `PATH` for the data set.
        software: package -> version that it was trained with.
        hardware: that it was trained on, in words.
        data_use: one sentence each on what the data were used for, beyond the training images themselves.
        baseline: what its inspections looked like on validation, for drift; None: not measured.

    Cards from before these last seven existed read with them empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    network: str
    parameters: int = Field(gt=0)
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    licence: str = "Apache-2.0"
    intended_use: str = INTENDED_USE
    data_source: str
    data_hash: str
    splits: dict[str, SplitCard]
    seed: int
    training: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, JsonValue] = Field(default_factory=dict)
    operating_point: OperatingPoint
    limitations: tuple[str, ...] = ()
    parity: Parity | None = None
    sha256: str = ""
    classes: tuple[str, ...] = ()
    command: str = ""
    software: dict[str, str] = Field(default_factory=dict)
    hardware: str = ""
    data_use: tuple[str, ...] = ()
    baseline: Baseline | None = None

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """From a `card.json`, or from the folder that has one; raises ModelError if it is absent or damaged."""
        file = path / CARD_JSON if path.is_dir() else path
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ModelError(
                f"the model card cannot be read ({error.strerror})",
                where=file,
                fix="restore it beside the model, or train the model again",
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            raise ModelError(
                f"the model card is damaged or of another version ({'.'.join(map(str, first['loc'])) or 'JSON'}: "
                f"{first['msg']})",
                where=file,
                fix="restore it from a backup, or train the model again",
            ) from error

    def write(self, folder: Path) -> None:
        """Writes `card.json` and, for people, `card.md` into `folder`, each whole or not at all."""
        for name, text in ((CARD_JSON, self.model_dump_json(indent=2) + "\n"), (CARD_MARKDOWN, self.to_markdown())):
            with atomic_file(folder / name) as partial:
                partial.write_text(text, encoding="utf-8")

    def to_markdown(self) -> str:
        """The card as one page of Markdown, with every figure it has."""
        parts = [
            f"# {self.name}",
            self.intended_use,
            _table(
                ("", ""),
                {
                    "Network": self.network,
                    "Parameters": f"{self.parameters:,}",
                    "Created (UTC)": self.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M"),
                    "Licence": self.licence,
                    "ONNX against PyTorch": _parity(self.parity),
                    **({"Classes": ", ".join(self.classes)} if self.classes else {}),
                    **({"SHA-256 of the file": f"`{self.sha256}`"} if self.sha256 else {}),
                },
            ),
            "## Training data",
            f"Source: {self.data_source}. SHA-256: `{self.data_hash or NOT_MEASURED}`.",
            _table(
                ("Split", "Boards", "Board groups"),
                {name: (split.boards, ", ".join(split.groups) or "-") for name, split in self.splits.items()},
            ),
            *(["\n".join(f"- {use}" for use in self.data_use)] if self.data_use else []),
            "## Training",
            *([f"```sh\n{self.command}\n```"] if self.command else []),
            *([f"Hardware: {self.hardware}."] if self.hardware else []),
            *(["Software: " + ", ".join(f"{n} {v}" for n, v in self.software.items()) + "."] if self.software else []),
            _table(("Setting", "Value"), {"seed": self.seed, **self.training}),
            "## Metrics",
            *_metrics(self.metrics),
            "## Operating point",
            f"Chosen for: {self.operating_point.criterion}."
            + ("" if self.operating_point.reached else " **This was not reached.**"),
            _table(("Class", "Lowest confidence"), self.operating_point.thresholds),
            "## Baseline for drift",
            *_baseline(self.baseline),
            "## Limitations",
            "\n".join(f"- {limitation}" for limitation in self.limitations) or "None are recorded.",
        ]
        return "\n\n".join(parts) + "\n"


def _metrics(metrics: Mapping[str, JsonValue]) -> list[str]:
    nested = {name: value for name, value in metrics.items() if _is_table(value)}
    parts = [_table(("Metric", "Value"), {n: v for n, v in metrics.items() if n not in nested})]
    for name, rows in nested.items():
        assert isinstance(rows, dict)
        columns = list(dict.fromkeys(key for row in rows.values() if isinstance(row, dict) for key in row))
        body = {n: tuple(row.get(c) for c in columns) for n, row in rows.items() if isinstance(row, dict)}
        parts += [f"### {name}", _table(("", *columns), body)]
    return parts if metrics else ["None are recorded."]


def _baseline(baseline: Baseline | None) -> list[str]:
    if baseline is None:
        return [f"{NOT_MEASURED.capitalize()}: whether its inspections drift cannot be told."]
    calls = ", ".join(f"{baseline.calls.get(call, 0)} {call.value}" for call in Call)
    rows: dict[str, object] = {}
    for quantity, class_name, counts in baseline.named():
        middle = quantity.middle(counts)
        name = quantity.name if class_name is None else f"{quantity.name}, {class_name}"
        rows[name] = (sum(counts), None if middle is None else f"{middle[0]:.4g} - {middle[1]:.4g}")
    return [
        f"Measured on {baseline.measured_on}.",
        f"Calls: {calls}. Detections per board: {baseline.detections_per_board:.2f}.",
        _table(("Quantity", "Values", "The middle 90 % lie in"), rows),
    ]


def _is_table(value: JsonValue) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(row, dict) for row in value.values())


def _table(header: tuple[str, ...], rows: Mapping[str, object]) -> str:
    """A Markdown table; the row's key is its first cell, the value its other cells."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for key, value in rows.items():
        cells = value if isinstance(value, tuple) else (value,)
        lines.append("| " + " | ".join(_cell(cell) for cell in (key, *cells)) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return NOT_MEASURED
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")


def _parity(parity: Parity | None) -> str:
    if parity is None:
        return NOT_MEASURED
    verdict = "agree" if parity.passed else "DO NOT AGREE"
    return (
        f"{verdict}: largest difference {parity.max_difference:.2g} on {parity.images} inputs "
        f"(allowed {parity.tolerance:.2g}){'. ' + parity.note if parity.note else ''}"
    )
