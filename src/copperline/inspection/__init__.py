"""A board becomes a call: the detector, the call policy, one image or many, and the model as a function of SQL."""

from copperline.inspection.batch import BatchSummary, Skipped, inspect_pairs
from copperline.inspection.detector import Detector
from copperline.inspection.inspect import Inspection, Verdict, inspect_arrays, inspect_image
from copperline.inspection.pairs import ImagePair, Inspectable, pairs_in, pairs_in_folder
from copperline.inspection.policy import DEFAULT_POLICY, CallPolicy, decide
from copperline.inspection.predict_sql import predict_function
from copperline.inspection.resuming import still_to_do
from copperline.inspection.scans import TileSummary
from copperline.inspection.trial import Trial, try_pair

__all__ = [
    "DEFAULT_POLICY",
    "BatchSummary",
    "CallPolicy",
    "Detector",
    "ImagePair",
    "Inspectable",
    "Inspection",
    "Skipped",
    "TileSummary",
    "Trial",
    "Verdict",
    "decide",
    "inspect_arrays",
    "inspect_image",
    "inspect_pairs",
    "pairs_in",
    "pairs_in_folder",
    "predict_function",
    "still_to_do",
    "try_pair",
]
