"""The parts of a deployment, and what came of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Part = Literal["data", "model", "notebook", "app"]
PARTS: tuple[Part, ...] = get_args(Part)  # in this order: the app comes when there is something to show


@dataclass(frozen=True, slots=True)
class Deployed:
    """What came of one part.

    Attributes:
        part: which.
        changed: something is in the account that was not there before.
        sent_files: to the stage.
        said: one sentence for people.
    """

    part: Part
    changed: bool
    sent_files: int
    said: str
