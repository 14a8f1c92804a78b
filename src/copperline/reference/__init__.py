"""Golden references: the library of a folder, conditioning of camera images, and the registration that moves a
reference onto a test image."""

from copperline.reference.conditioning import Recipe, condition
from copperline.reference.library import GoldenLibrary
from copperline.reference.registration import WITHHELD_BELOW, Registration, agreement, register

__all__ = ["WITHHELD_BELOW", "GoldenLibrary", "Recipe", "Registration", "agreement", "condition", "register"]
