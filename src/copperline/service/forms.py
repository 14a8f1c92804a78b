"""Forms with files: which fields there are, and the recipe in one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Form, Request, UploadFile

from copperline.errors import DataError
from copperline.reference import Recipe
from copperline.service.problems import Problem

# Of a recipe; its text has no reason to be longer.
_LONGEST = 2000

RecipeText = Annotated[
    str | None,
    Form(
        max_length=_LONGEST,
        description="JSON: how both images are brought to the model's form",
        examples=['{"channel": "red", "binarise": "otsu", "copper": "bright"}'],
    ),
]


def only_fields(*names: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that refuses a form with other fields, or with one twice: what is misspelt would be left out."""

    async def check(request: Request) -> None:
        form = await request.form()  # parsed already
        given = [name for name, _ in form.multi_items()]
        wrong = sorted({name for name in given if name not in names or given.count(name) > 1})
        if wrong:
            raise _wrong(wrong[0], f"expected each of {', '.join(names)} at most once, found it unknown or twice")

    return check


async def read(file: UploadFile, field: str) -> bytes:
    """All of a file; an empty one is refused by name."""
    data = await file.read()
    if not data:
        raise _wrong(f"body.{field}", "expected the bytes of an image, found none")
    return data


def recipe_of(text: str | None) -> Recipe | None:
    """Raises Problem 422 if it is none; None: none was given."""
    if text is None or not text.strip():
        return None
    try:
        return Recipe.from_json(text)
    except DataError as error:
        raise _wrong("body.conditioning", f"{error.problem}; {error.fix}") from error


def _wrong(field: str, problem: str) -> Problem:
    clean = field[:255].encode("utf-8", "replace").decode()
    return Problem(
        422,
        "invalid-request",
        "The request cannot be understood",
        f"{clean}: {problem}",
        errors=[{"field": clean, "problem": problem}],
    )
