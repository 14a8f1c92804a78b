"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key is good for. None includes another: who promotes models is not by that a reviewer."""

    INSPECT = "inspect"
    REVIEW = "review"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        name: for logs and as the reviewer of dispositions.
        scopes: what they may do.
        key_id: of their key; None: nobody needs one here.
    """

    name: str
    scopes: frozenset[Scope] = frozenset()
    key_id: str | None = None
