"""Golden references: the library of a folder, conditioning of camera images, and the registration that moves a
reference onto a test image."""

from copperline.reference.conditioning import Recipe, condition
from copperline.reference.library import GoldenLibrary, named_once, reference_named
from copperline.reference.registration import WITHHELD_BELOW, Registration, agreement, register
from copperline.reference.suggestion import Suggestion, suggest_recipe
from copperline.reference.white_images import WhiteImages

__all__ = [
    "WITHHELD_BELOW",
    "GoldenLibrary",
    "Recipe",
    "Registration",
    "Suggestion",
    "WhiteImages",
    "agreement",
    "condition",
    "named_once",
    "reference_named",
    "register",
    "suggest_recipe",
]
