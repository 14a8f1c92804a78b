"""From detections to a call."""

from __future__ import annotations

from dataclasses import dataclass

from copperline.detections import Detections
from copperline.reference import WITHHELD_BELOW
from copperline.taxonomy import Call, Severity, Taxonomy


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """What a factory fails a board for.

    Attributes:
        failing: a board fails when one detection's class has one of these severities.
        withheld_below: registration scores below this mean that the reference is not this board's, or that the image
            is not usable: the difference says nothing, so no call is made.
    """

    failing: frozenset[Severity] = frozenset(Severity)
    withheld_below: float = WITHHELD_BELOW

    def registers(self, registration_score: float | None) -> bool:
        """Whether a call may be made; without a reference (None) there is nothing to register."""
        return registration_score is None or registration_score >= self.withheld_below


DEFAULT_POLICY = CallPolicy()


def decide(
    detections: Detections,
    registration_score: float | None,
    taxonomy: Taxonomy,
    policy: CallPolicy = DEFAULT_POLICY,
) -> Call:
    """The call on one board.

    WITHHELD goes before FAIL: against a wrong reference everything looks like a defect.

    Args:
        detections: those that passed the operating point.
        registration_score: in [0, 1]; None without a reference.
        taxonomy: of the detections' class ids.

    >>> from copperline.taxonomy import DEEPPCB
    >>> pinhole = Detections.of([[0, 0, 9, 9]], [5], [0.9])
    >>> decide(pinhole, 0.97, DEEPPCB).value
    'FAIL'
    >>> decide(pinhole, 0.97, DEEPPCB, CallPolicy(failing=frozenset({Severity.CRITICAL, Severity.MAJOR}))).value
    'PASS'
    >>> decide(pinhole, 0.10, DEEPPCB).value
    'WITHHELD'
    """
    if not policy.registers(registration_score):
        return Call.WITHHELD
    if any(taxonomy[int(class_id)].severity in policy.failing for class_id in detections.class_ids):
        return Call.FAIL
    return Call.PASS
