"""The golden library."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, Response, UploadFile

from copperline.access.audit import audit_reference_added, audit_reference_retired
from copperline.access.principals import Principal, Scope
from copperline.errors import DataError, NotFoundError, SettingsError
from copperline.files import read_whole
from copperline.reference import Recipe
from copperline.service.fields import Count, Key, Name, NameOrEmpty, Note
from copperline.service.forms import RecipeText, only_fields, read, recipe_of
from copperline.service.limits import FormLimits, limited_forms
from copperline.service.openapi import problems
from copperline.service.pieces import PiecesOf
from copperline.service.problems import invalid_request
from copperline.service.schemas import ReferenceDocument, ReferencesAsked, ReferencesDocument
from copperline.service.security import address_of, allow
from copperline.warehouse import (
    ReferenceRecord,
    get_reference,
    list_references,
    retire_reference,
)
from copperline.workflows.golden_library import Product, add_unchecked

router = APIRouter(prefix="/v1/references", tags=["references"], route_class=limited_forms(FormLimits(files=1)))

_MEDIA_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".bmp": "image/bmp", ".tif": "image/tiff"}
_UNKNOWN = "image/x-portable-anymap"
_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_MADE = {"description": "It counts from now on", "headers": {"Location": {"schema": {"type": "string"}}}}
_FIELDS = ("image", "product_type", "revision", "conditioning", "opportunities", "note")


@router.post(
    "", status_code=201, responses={201: _MADE, **problems(409)}, dependencies=[Depends(only_fields(*_FIELDS))]
)
async def add(
    request: Request,
    response: Response,
    pieces: PiecesOf,
    principal: Annotated[Principal, Depends(allow(Scope.ADMIN))],
    image: Annotated[UploadFile, File(description="The golden image: JPEG, PNG, BMP, TIFF, PGM or PPM")],
    product_type: Annotated[Name, Form()],
    revision: Annotated[NameOrEmpty, Form(description="Of the product")] = "",
    conditioning: RecipeText = None,
    opportunities: Annotated[Count | None, Form(description="Defect opportunities of a board, for DPMO")] = None,
    note: Annotated[Note | None, Form()] = None,
) -> ReferenceDocument:
    """Add the next version of a product's golden image. Earlier ones stay, and inspections go on naming them."""
    try:
        product = Product(product_type, revision, opportunities, note, principal.name)
    except SettingsError as error:
        raise invalid_request(error.without_place, "product_type") from error
    data, recipe = await read(image, "image"), recipe_of(conditioning) or Recipe()

    def keep() -> ReferenceRecord:
        kept = add_unchecked(
            pieces.engine, pieces.stage, product, data, recipe, where="image", max_pixels=pieces.max_pixels
        )
        audit_reference_added(pieces.engine, principal, kept, address_of(request))
        return kept

    record = await pieces.desk.in_thread(keep)
    response.headers["Location"] = f"/v1/references/{record.reference_id}"
    return _document(record)


@router.get("", responses=problems())
def list_(
    pieces: PiecesOf, principal: Annotated[Principal, Depends(allow())], asked: Annotated[ReferencesAsked, Query()]
) -> ReferencesDocument:
    """By product and revision, the newest version first."""
    found = list_references(pieces.engine, product_type=asked.product_type, retired=asked.retired)
    return ReferencesDocument(references=[_document(record) for record in found])


@router.get("/{reference_id}", responses=problems(404))
def get(
    pieces: PiecesOf, principal: Annotated[Principal, Depends(allow())], reference_id: Annotated[Key, Path()]
) -> ReferenceDocument:
    """One version, in use or not."""
    return _document(get_reference(pieces.engine, reference_id))


@router.get(
    "/{reference_id}/image",
    response_class=Response,
    responses={
        200: {
            "description": "The file as it was given",
            "content": dict.fromkeys((*_MEDIA_TYPES.values(), _UNKNOWN), _IMAGE),
        },
        **problems(404),
    },
)
def image(
    pieces: PiecesOf, principal: Annotated[Principal, Depends(allow())], reference_id: Annotated[Key, Path()]
) -> Response:
    """The golden image, as it was given."""
    record = get_reference(pieces.engine, reference_id)
    path = FilePath(record.image_path)
    try:
        data = read_whole(path)
    except DataError as error:
        raise NotFoundError(
            "expected the image of this reference on the stage, found that it cannot be read",
            fix="restore the stage's folder from a backup",
        ) from error
    # A file under this address never changes.
    headers = {"ETag": f'"{record.image_sha256}"', "Cache-Control": "private, immutable, max-age=31536000"}
    return Response(data, media_type=_MEDIA_TYPES.get(path.suffix, _UNKNOWN), headers=headers)


@router.delete("/{reference_id}", responses=problems(404))
def retire(
    request: Request,
    pieces: PiecesOf,
    principal: Annotated[Principal, Depends(allow(Scope.ADMIN))],
    reference_id: Annotated[Key, Path()],
) -> ReferenceDocument:
    """Take a version out of use; the one before it counts again. It stays, with its image."""
    retired = retire_reference(pieces.engine, reference_id)
    audit_reference_retired(pieces.engine, principal, retired, address_of(request))
    return _document(retired)


def _document(record: ReferenceRecord) -> ReferenceDocument:
    return ReferenceDocument(
        reference_id=record.reference_id,
        product_type=record.product_type,
        revision=record.revision,
        version=record.version,
        image_sha256=record.image_sha256,
        width=record.width,
        height=record.height,
        conditioning=None if record.conditioning is None else json.loads(record.conditioning),
        opportunities=record.opportunities,
        created_at=record.created_at,
        created_by=record.created_by,
        retired_at=record.retired_at,
        note=record.note,
    )
