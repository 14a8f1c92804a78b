"""Forms with files: which fields there are, and the recipe in one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Form, Request, UploadFile

from copperline.errors import DataError
from copperline.reference import Recipe
from copperline.service.problems import invalid_request

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
            field = "body." + wrong[0][:255].encode("utf-8", "replace").decode()
            raise invalid_request(
                f"expected each of {', '.join(names)} at most once, found another field or one twice", field
            )

    return check


async def read(file: UploadFile, field: str) -> bytes:
    """All of a file; an empty one is refused by name."""
    data = await file.read()
    if not data:
        raise invalid_request("expected the bytes of an image, found none", f"body.{field}")
    return data


def recipe_of(text: str | None) -> Recipe | None:
    """Raises Problem 422 if it is none; None: none was given."""
    if text is None or not text.strip():
        return None
    try:
        return Recipe.from_json(text)
    except DataError as error:
        raise invalid_request(error.without_place, "body.conditioning") from error
