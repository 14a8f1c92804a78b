"""Adding references to the golden library: checked, kept on the stage, written as the product's next version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from copperline.data.images import IMAGE_SUFFIXES, Image, decode_image, encode_image
from copperline.errors import DataError, SettingsError
from copperline.files import read_whole
from copperline.inspection import Detector
from copperline.progress import Report
from copperline.reference import Recipe, WhiteImages, condition
from copperline.stage import Stage
from copperline.warehouse import NewReference, ReferenceRecord, add_reference, current_reference
from copperline.workflows.referencing import Check, EarlierVersion, check_candidates, read_candidate


@dataclass(frozen=True, eq=False, slots=True)
class GoldenReference:
    """A golden image that is ready to be compared with.

    Attributes:
        record: its row.
        recipe: for it and for the test images.
        image: (H, W) uint8, conditioned.
    """

    record: ReferenceRecord
    recipe: Recipe
    image: Image


def load_reference(record: ReferenceRecord, white_images: WhiteImages) -> GoldenReference:
    """Reads and conditions a golden image.

    Raises:
        DataError: the file is missing, is not the one that was added, or cannot be conditioned.
    """
    path = Path(record.image_path)
    data = read_whole(path)
    if hashlib.sha256(data).hexdigest() != record.image_sha256:
        raise DataError(
            f"expected the golden image of {record.product_type!r} as it was added, found other content",
            where=path,
            fix=f"put it back, or retire it: copperline references retire {record.reference_id}",
        )
    recipe = Recipe.from_json(record.conditioning)
    image = condition(decode_image(data, path, bare_ok=True), recipe, white_images.of(recipe), where=path)
    return GoldenReference(record, recipe, image)


@dataclass(frozen=True, slots=True)
class Product:
    """What a reference is for.

    Attributes:
        name, revision: of the product; revision empty: it has none.
        opportunities: defect opportunities of a board; None: unknown.
        added_by: who adds it.
    """

    name: str
    revision: str = ""
    opportunities: int | None = None
    note: str | None = None
    added_by: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip() or self.name != self.name.strip():
            raise SettingsError(f"expected the name of a product, found {self.name!r}", fix="name the product")
        if self.opportunities is not None and self.opportunities < 1:
            raise SettingsError(
                f"expected 1 or more opportunities, found {self.opportunities}", fix="leave it out where it is unknown"
            )


@dataclass(frozen=True, eq=False, slots=True)
class Added:
    """Attributes:
    record: the new row.
    check: what the candidates showed.
    """

    record: ReferenceRecord
    check: Check


class RefusedCandidates(DataError):
    """The candidates were checked and none was added; `check` says why."""

    def __init__(self, problem: str, *, check: Check, where: Path, fix: str) -> None:
        super().__init__(problem, where=where, fix=fix)
        self.check = check


def add_golden(
    engine: Engine,
    stage: Stage,
    detector: Detector,
    product: Product,
    paths: Sequence[Path],
    recipe: Recipe,
    *,
    median: bool = False,
    force: bool = False,
    progress: Report | None = None,
) -> Added:
    """Checks the candidates against each other, and makes the best of them the product's next version.

    Args:
        engine, stage: where the row and the image go.
        detector: names what differs between the candidates.
        paths: one or more images of golden boards of the product.
        recipe: for them and for all test images of the product.
        median: add the median of all candidates, of three or more, instead of the best.
        force: add even what is refused otherwise.
        progress: called with (candidates done, candidates in all).

    Raises:
        RefusedCandidates: a candidate is another board, or the best one differs from the others, or from the earlier
            version, in places.
        DataError: an image cannot be used, or the sizes differ.
        WarehouseError: the row cannot be written.
    """
    white_images = WhiteImages(stage)
    candidates = [read_candidate(path, recipe, white_images) for path in paths]
    if median and len(candidates) < 3:
        raise SettingsError(
            f"expected three or more images for a median, found {len(candidates)}",
            fix="give more or leave --median out",
        )
    earlier = current_reference(engine, product.name, product.revision)
    before = None
    if earlier is not None and len(paths) == 1:
        before = EarlierVersion(earlier.version, load_reference(earlier, white_images).image)
    check = check_candidates(candidates, detector, recipe.scale, before, progress)
    if not force:
        _require_agreement(check, median)
    data = candidates[check.best].data
    if median and check.consensus is not None:
        data = encode_image(check.consensus.median_of([c.image for c in candidates], recipe.scale), ".png")
    return Added(_write(engine, stage, product, data, recipe), check)


def product_images(folder: Path) -> dict[str, Path]:
    """The golden images in a folder and its subfolders by product: the file's name without suffix and `_temp`.

    Images named `ID_test` are inspected boards and are left out.

    Raises:
        DataError: there are none, or two files stand for one product.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith(".") or path.stem.endswith("_test"):
            continue
        name = path.stem.removesuffix("_temp")
        if name in found:
            raise DataError(
                f"expected one golden image for {name!r}, found {found[name]} too", where=path, fix="keep one of them"
            )
        found[name] = path
    if not found:
        raise DataError(
            f"expected golden images ({', '.join(sorted(IMAGE_SUFFIXES))}), found none",
            where=folder,
            fix="give the folder that holds them",
        )
    return found


def import_golden(engine: Engine, stage: Stage, product: Product, path: Path, recipe: Recipe) -> ReferenceRecord | None:
    """Adds an image without any check; None if it is the product's current reference already, by the same recipe.

    Raises as `add_unchecked`.
    """
    data = read_whole(path)
    current = current_reference(engine, product.name, product.revision)
    known = None if current is None else (current.image_sha256, current.conditioning)
    if known == (hashlib.sha256(data).hexdigest(), recipe.to_json()):
        return None
    return add_unchecked(engine, stage, product, data, recipe, where=path)


def add_unchecked(
    engine: Engine,
    stage: Stage,
    product: Product,
    data: bytes,
    recipe: Recipe,
    *,
    where: str | Path,
    max_pixels: int | None = None,
) -> ReferenceRecord:
    """Adds the bytes of an image file as the product's next version, without comparing it with anything.

    Args:
        where: names the image in errors.
        max_pixels: of the image; None: no limit but the side's.

    Raises:
        DataError: the image cannot be used or conditioned, or the stage cannot be written.
        WarehouseError: the row cannot be written.
    """
    # A golden image may be bare: a tile of a board has no copper now and then.
    image = decode_image(data, where, bare_ok=True, max_pixels=max_pixels)
    condition(image, recipe, WhiteImages(stage).of(recipe), where=where)
    return _write(engine, stage, product, data, recipe)


def _require_agreement(check: Check, median: bool) -> None:
    strangers = check.strangers
    if strangers:
        first = strangers[0]
        raise RefusedCandidates(
            f"expected images of one board, found one that does not register (score {first.score:.2f}) with "
            + ("the others" if len(check.candidates) > 1 else f"{check.compared_with}"),
            check=check,
            where=first.path,
            fix="leave it out, name another product or revision, or add it with --force",
        )
    best = check.candidates[check.best]
    if best.suspicions and not median:
        raise RefusedCandidates(
            f"expected a golden board, found {len(best.suspicions)} places where it differs from {check.compared_with}",
            check=check,
            where=best.path,
            fix="look at them with --picture; add more images, or this one with --force",
        )


def _write(engine: Engine, stage: Stage, product: Product, data: bytes, recipe: Recipe) -> ReferenceRecord:
    height, width = decode_image(data, "golden image", bare_ok=True).shape[:2]
    stored = stage.put(data)
    return add_reference(
        engine,
        NewReference(
            product_type=product.name,
            revision=product.revision,
            image_path=str(stored.path),
            image_sha256=stored.sha256,
            width=width,
            height=height,
            created_by=product.added_by,
            conditioning=recipe.to_json(),
            opportunities=product.opportunities,
            note=product.note,
        ),
    )
