"""What the page Models says of a model: names, formulas and rows of its tables. No widgets."""

from __future__ import annotations

from datetime import datetime, tzinfo

from copperline.dashboard.traced import NOT_MEASURED
from copperline.evaluation import PairedComparison, wilson_interval
from copperline.registry import CardFigure, CardMeasurement, Catalogue, CatalogueEntry, History
from copperline.taxonomy import Taxonomy

NOT_RECORDED = "interval not recorded"
NONE = "-"
FALSE_CALL_RATE = "false_call_rate"
# Name on the card -> (label, formula).
FIGURES: dict[str, tuple[str, str]] = {
    "map50": (
        "mAP50",
        "Mean over the classes of COCO's average precision at IoU 0.50: the mean, over 101 recalls, of the highest "
        "precision at that or a higher recall.\n\nUnit: fraction of 1, over labelled defects.",
    ),
    "map50_95": (
        "mAP50:95",
        "As mAP50, averaged over the IoU thresholds 0.50, 0.55 .. 0.95.\n\nUnit: fraction of 1, over labelled defects.",
    ),
    "f_score": (
        "F-score",
        "2 x found / (2 x found + false + missed), at the operating point, IoU 0.33.\n\nUnit: defects.",
    ),
    "recall": ("Recall", "Found defects / labelled defects, at the operating point, IoU 0.33.\n\nUnit: defects."),
    "precision": (
        "Precision",
        "Correct detections / all detections, at the operating point, IoU 0.33.\n\nUnit: detections.",
    ),
    FALSE_CALL_RATE: (
        "Clean boards with a false call",
        "Defect-free boards with at least one detection that passes the operating point / defect-free boards.\n\n"
        "Unit: boards. The interval is Wilson's.",
    ),
}
BOOTSTRAP = "The 95 % interval is a percentile bootstrap over boards."


def shown_figures(measurement: CardMeasurement) -> dict[str, CardFigure]:
    """The figures of a measurement that the page shows, each; those that the card has not are not measured.

    The false-call rate of older cards is worked out from their counts, with its interval.
    """
    shown = {name: measurement.figures.get(name, CardFigure(None)) for name in FIGURES}
    called, clean = (measurement.figures.get(name) for name in ("false_call_boards", "clean_boards"))
    if shown[FALSE_CALL_RATE].interval is None and called and clean and called.value is not None and clean.value:
        part, whole = int(called.value), int(clean.value)
        shown[FALSE_CALL_RATE] = CardFigure(part / whole, wilson_interval(part, whole))
    return shown


def value_of(figure: CardFigure) -> str:
    """
    >>> value_of(CardFigure(0.9904)), value_of(CardFigure(None))
    ('99.04 %', 'not measured')
    """
    return NOT_MEASURED if figure.value is None else f"{100 * figure.value:.2f} %"


def interval_of(figure: CardFigure) -> str:
    """
    >>> interval_of(CardFigure(0.99, (0.98, 0.995))), interval_of(CardFigure(0.9)), interval_of(CardFigure(None))
    ('95 %: 98.00 - 99.50 %', 'interval not recorded', '')
    """
    if figure.value is None:
        return ""
    if figure.interval is None:
        return NOT_RECORDED
    low, high = figure.interval
    return f"95 %: {100 * low:.2f} - {100 * high:.2f} %"


def p_text(p_value: float) -> str:
    """
    >>> p_text(0.0213), p_text(1.0), p_text(6e-8)
    ('p = 0.021', 'p = 1', 'p < 0.001')
    """
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def moment(at: datetime | None, zone: tzinfo) -> str:
    """
    >>> from datetime import UTC
    >>> moment(datetime(2026, 3, 1, 12, tzinfo=UTC), UTC), moment(None, UTC)
    ('2026-03-01 12:00', 'unknown')
    """
    return "unknown" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def version_rows(found: Catalogue, zone: tzinfo) -> list[dict[str, str]]:
    """The table of all models. `-` where a damaged card does not tell; `State` only if something is wrong."""
    faulty = any(entry.fault for entry in found.entries)
    return [
        {
            "Model": entry.title,
            "Aliases": _aliases(entry, found.stands_in) or NONE,
            "Created": moment(entry.created_at, zone),
            "Network": entry.card.network if entry.card else NONE,
            "Parameters": f"{entry.card.parameters:,}" if entry.card else NONE,
            "Trained on": entry.card.data_source if entry.card else NONE,
            **({"State": entry.fault.problem if entry.fault else "good"} if faulty else {}),
        }
        for entry in found.entries
    ]


def option(entry: CatalogueEntry | None) -> str:
    """A model in a list to choose from."""
    if entry is None:
        return "unknown"
    aliases = f" ({', '.join(entry.aliases)})" if entry.aliases else ""
    return f"{entry.title}{aliases}"


def class_rows(entry: CatalogueEntry, measurement: CardMeasurement | None, taxonomy: Taxonomy) -> list[dict[str, str]]:
    """One row for each class of the model: severity, threshold, and what was measured of it."""
    assert entry.card is not None
    severities = {c.name: c.severity.value for c in taxonomy}
    rows = []
    for name, threshold in entry.card.operating_point.thresholds.items():
        figures = measurement.per_class.get(name, {}) if measurement else {}
        row = {
            "Class": name,
            "Severity": severities.get(name, "not in this factory"),
            "Lowest confidence": f"{threshold:.2f}",
        }
        if measurement is not None and measurement.per_class:
            labels = figures.get("labels")
            row["Labels"] = NOT_MEASURED if labels is None else f"{labels:,.0f}"
            for key, label in (
                ("ap50", "AP50"), ("ap50_95", "AP50:95"), ("precision", "Precision"), ("recall", "Recall")
            ):  # fmt: skip
                row[label] = value_of(CardFigure(figures.get(key)))
        rows.append(row)
    return rows


def difference_rows(comparison: PairedComparison, first: str, second: str) -> list[dict[str, str]]:
    """The table below the chart of differences."""
    rows = []
    for name, (label, _) in FIGURES.items():
        figure = comparison.figures.get(name)
        if figure is None:
            continue
        row = {
            "Figure": label,
            first: value_of(CardFigure(figure.first)),
            second: value_of(CardFigure(figure.second)),
            "Difference": NOT_MEASURED if figure.difference is None else f"{100 * figure.difference:+.2f} pp",
            "95 % interval": NOT_MEASURED
            if figure.interval is None
            else f"{100 * figure.interval[0]:+.2f} to {100 * figure.interval[1]:+.2f} pp",
            "Beyond chance": "yes" if figure.excludes_zero else "no",
        }
        rows.append(row)
    return rows


def history_rows(history: History, zone: tzinfo) -> list[dict[str, str]]:
    """All promotions, the newest first, those that did not take effect too."""
    everything = sorted((*history.promotions, *history.failed), key=lambda p: p.at, reverse=True)
    return [
        {
            "When": moment(p.at, zone),
            "Who": p.by,
            "Alias": p.alias,
            "From": NONE if p.from_version is None else f"version {p.from_version}",
            "To": f"version {p.to_version}",
            "Reason": p.reason or NONE,
            "Took effect": f"no: {p.failed}" if p.failed else "yes",
        }
        for p in everything
    ]


def _aliases(entry: CatalogueEntry, stands_in: bool) -> str:
    return "stands in as champion" if stands_in and entry.aliases else ", ".join(entry.aliases)
