"""How large drawn defects are and how loosely their boxes fit."""

from __future__ import annotations

from dataclasses import dataclass

from copperline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class DefectSizes:
    """Sizes, margins and clearances of drawn defects, in pixels.

    The ranges were drawn up from pictures and label statistics of DeepPCB's training boards, so a detector that is
    trained with them has used those, though no label. For another product's scale give your own.

    Attributes:
        box_margin: from what was painted to each side of the box. Boxes are drawn around a defect with room to spare;
            without that margin a detector would learn boxes which such labels reject.
        margin_jitter: standard deviation of each margin. 0 makes every box exactly as the settings say.
        scale: of all lengths and widths; 1 suits boards at about 48 px per millimetre.
        clearance: a defect may grow by this much and still is what its class says.
        longest: open cuts and shorts are at most this long.
    """

    box_margin: float = 9.0
    margin_jitter: float = 1.0
    scale: float = 1.0
    clearance: int = 1
    longest: int = 60

    def __post_init__(self) -> None:
        if self.box_margin < 0 or self.margin_jitter < 0 or self.scale <= 0:
            raise SettingsError(
                "expected box_margin >= 0, margin_jitter >= 0 and scale > 0, found "
                f"{self.box_margin}, {self.margin_jitter} and {self.scale}",
                fix="correct the defect sizes",
            )
        if not 0 <= self.clearance <= 6 or self.longest < 4:
            raise SettingsError(
                f"expected clearance 0 to 6 and longest >= 4, found {self.clearance} and {self.longest}",
                fix="correct the defect sizes",
            )
