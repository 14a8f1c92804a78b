"""Golden references: the library that keeps them, and the registration that moves one onto a test image."""

from copperline.reference.library import GoldenLibrary
from copperline.reference.registration import WITHHELD_BELOW, Registration, agreement, register

__all__ = ["WITHHELD_BELOW", "GoldenLibrary", "Registration", "agreement", "register"]
