"""The line: boards as stations hand them in become inspections, for the HTTP service and for the watched folder."""

from copperline.line.documents import InspectionDocument
from copperline.line.inspector import Answer, LineInspector, Prepared, Submission
from copperline.line.references import ReferenceShelf
from copperline.workflows.golden_library import GoldenReference

__all__ = [
    "Answer",
    "GoldenReference",
    "InspectionDocument",
    "LineInspector",
    "Prepared",
    "ReferenceShelf",
    "Submission",
]
