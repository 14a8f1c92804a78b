"""Detections against labels: average precision, the operating point, false calls on clean boards, and the report.

Everything but `predict_pairs` and the writing of reports is pure: from lists of `Detections`, one entry per board, to
numbers.
"""

from copperline.evaluation.average_precision import DeepPcbAp, coco_ap, deeppcb_ap
from copperline.evaluation.board_comparison import BoardComparison, compare_board
from copperline.evaluation.clean_boards import clean_board
from copperline.evaluation.convergence import Convergence, TrainingVerdict, judge_convergence
from copperline.evaluation.drawing import draw_detections, pair_panel
from copperline.evaluation.error_analysis import ErrorAnalysis, ErrorCase, analyse_errors
from copperline.evaluation.error_kinds import ErrorKind
from copperline.evaluation.evaluate import confusion_counts, evaluate
from copperline.evaluation.intervals import Interval, bootstrap_counts, percentile_interval, wilson_interval
from copperline.evaluation.matching import MATCHING_IOU, Matches, match
from copperline.evaluation.operating_point import choose_operating_point
from copperline.evaluation.paired import (
    Discordance,
    PairedComparison,
    PairedFigure,
    compare_paired,
    mcnemar_exact,
)
from copperline.evaluation.predict import BoardImages, Predictor, Progress, predict_pairs
from copperline.evaluation.results import ClassEvaluation, Confusion, ConfusionPair, Evaluation
from copperline.evaluation.scan_picture import draw_scan
from copperline.evaluation.threshold_sweep import ThresholdSweep, sweep_thresholds
from copperline.evaluation.verdict import verdict

__all__ = [
    "MATCHING_IOU",
    "BoardComparison",
    "BoardImages",
    "ClassEvaluation",
    "Confusion",
    "ConfusionPair",
    "Convergence",
    "DeepPcbAp",
    "Discordance",
    "ErrorAnalysis",
    "ErrorCase",
    "ErrorKind",
    "Evaluation",
    "Interval",
    "Matches",
    "PairedComparison",
    "PairedFigure",
    "Predictor",
    "Progress",
    "ThresholdSweep",
    "TrainingVerdict",
    "analyse_errors",
    "bootstrap_counts",
    "choose_operating_point",
    "clean_board",
    "coco_ap",
    "compare_board",
    "compare_paired",
    "confusion_counts",
    "deeppcb_ap",
    "draw_detections",
    "draw_scan",
    "evaluate",
    "judge_convergence",
    "match",
    "mcnemar_exact",
    "pair_panel",
    "percentile_interval",
    "predict_pairs",
    "sweep_thresholds",
    "verdict",
    "wilson_interval",
]
