"""`Evaluation`: everything that is measured of a model on a labelled data set, as it is written to JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from copperline.evaluation.intervals import Interval
from copperline.evaluation.matching import MATCHING_IOU
from copperline.model_info import OperatingPoint


class ClassEvaluation(BaseModel):
    """One class; `precision` and `recall` at the operating point, `threshold` its confidence there."""

    model_config = ConfigDict(frozen=True)

    labels: int
    ap33: float | None
    ap50: float | None
    ap50_95: float | None
    precision: float | None
    recall: float | None
    threshold: float


class Confusion(BaseModel):
    """What the detections at the operating point said of the labels.

    Attributes:
        names: of rows and columns: the classes, then `background`.
        counts: [true][predicted]. Row `background`: detections of nothing; column `background`: missed labels.
    """

    model_config = ConfigDict(frozen=True)

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class ConfusionPair(BaseModel):
    """`count` defects of the class `true` were called `predicted`."""

    model_config = ConfigDict(frozen=True)

    true: str
    predicted: str
    count: int


class Evaluation(BaseModel):
    """A model on a labelled data set. Rates are fractions in [0, 1]; None is "not measured": no denominator.

    Attributes:
        images: labelled boards.
        labels: defects on them.
        ap33: mean over the classes of DeepPCB's non-interpolated AP at IoU 0.33.
        ap33_pooled: the same with all classes in one ranking, as DeepPCB's script computes it.
        map50, map50_95: COCO's mean AP at IoU 0.50, and over 0.50:0.05:0.95.
        per_class: class name -> its figures.
        f_score, precision, recall: at the operating point, all classes together, matched at `matching_iou`.
        recall_any_class: labels found, by whatever name they were called; a board fails all the same.
        false_detections_per_image: detections that found no label, per board, at the operating point.
        clean_boards: defect-free boards inspected; 0: false calls were not measured.
        false_call_boards: those with at least one detection that passes the operating point.
        false_call_rate: false_call_boards / clean_boards.
        false_call_interval: its 95 % Wilson interval.
        intervals: metric -> 95 % interval, percentile bootstrap over boards; a metric not measured has none.
        confusion, confusion_pairs: at the operating point; pairs by descending count.
        matching_iou: IoU from which a detection counts as having found a label, at the operating point.
        operating_point: in force.
        seconds: wall time of inspecting the boards; for the caller to fill in, as are model and model_version.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    images: int
    labels: int
    ap33: float | None
    ap33_pooled: float | None
    map50: float | None
    map50_95: float | None
    per_class: dict[str, ClassEvaluation]
    f_score: float | None
    precision: float | None
    recall: float | None
    recall_any_class: float | None
    false_detections_per_image: float | None
    clean_boards: int
    false_call_boards: int | None
    false_call_rate: float | None
    false_call_interval: Interval | None
    intervals: dict[str, Interval]
    confusion: Confusion
    confusion_pairs: tuple[ConfusionPair, ...]
    operating_point: OperatingPoint
    matching_iou: float = MATCHING_IOU
    interval_confidence: float = Field(0.95, description="Of `intervals` and `false_call_interval`")
    seconds: float | None = None
    model: str | None = None
    model_version: str | None = None
