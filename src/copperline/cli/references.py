"""`copperline references`: the golden library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copperline.cli.options import JsonOption, ModelOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.errors import DataError, SettingsError

if TYPE_CHECKING:
    from copperline.reference import Recipe
    from copperline.stage import Stage
    from copperline.taxonomy import Taxonomy
    from copperline.warehouse import ReferenceRecord
    from copperline.workflows.referencing import Check

app = typer.Typer(help="The golden library: references of products, by revision and version.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Of the reference, from `references list`.")]
RevisionOption = Annotated[str, typer.Option(help="Of the product; default: it has none.")]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        metavar="JSON|FILE|suggest",
        help="Conditioning of it and of all test images of the product; `suggest` works one out. Default: none.",
    ),
]
WhiteImageOption = Annotated[
    Path | None, typer.Option(help="Image of a white surface in the same light, which all images are divided by.")
]
ByOption = Annotated[str | None, typer.Option(help="Who is recorded; default: this machine's account.")]


@app.command()
def add(
    product: Annotated[str, typer.Argument(help="What the images are golden for.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Of golden boards; three or more are better.")
    ],
    revision: RevisionOption = "",
    recipe: RecipeOption = None,
    white_image: WhiteImageOption = None,
    opportunities: Annotated[int | None, typer.Option(help="Defect opportunities of a board, for DPMO.")] = None,
    note: Annotated[str | None, typer.Option(help="Kept with the reference.")] = None,
    median: Annotated[bool, typer.Option("--median", help="Add the median of all images, not the best one.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Add it even if the images do not agree.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Folder for a picture of each image, with the places where it differs.")
    ] = None,
    by: ByOption = None,
    model: ModelOption = "champion",
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Check images of golden boards against each other, and make the best one the product's next version."""
    from copperline.access.audit import audit_reference_added
    from copperline.access.principals import Principal
    from copperline.inspection import Detector
    from copperline.progress import progress
    from copperline.settings import account
    from copperline.stage import Stage
    from copperline.warehouse import open_warehouse
    from copperline.workflows.golden_library import Product, RefusedCandidates, add_golden

    settings = settings_for(workspace)
    stage = Stage(settings)
    wanted = Product(product, revision, opportunities, note, by or account())
    used, notes = _recipe(recipe, white_image, images[0], stage)
    detector = Detector.load(model, settings=settings)
    engine = open_warehouse(settings.warehouse)
    try:
        with progress("Checking") as report:
            added = add_golden(
                engine, stage, detector, wanted, images, used, median=median, force=force, progress=report
            )
        audit_reference_added(engine, Principal(wanted.added_by), added.record)
    except RefusedCandidates as refused:
        _draw(picture, refused.check, detector.taxonomy)
        if json_:
            print_json({"reference": None, **_check_as_dict(refused.check)})
        else:
            _tell(refused.check, notes)
        raise
    finally:
        engine.dispose()
    pictures = _draw(picture, added.check, detector.taxonomy)
    if json_:
        print_json(
            {
                "reference": _as_dict(added.record),
                **_check_as_dict(added.check),
                "added": "median" if median else str(added.check.candidates[added.check.best].path),
                "notes": notes,
                "pictures": pictures,
            }
        )
        return
    _tell(added.check, notes)
    source = "the median of all images" if median else str(added.check.candidates[added.check.best].path)
    say(
        f"Added {source} as version {added.record.version} of {_named(added.record)}: {added.record.reference_id}",
        *(f"Picture: {name}" for name in pictures),
        f"Next: copperline references show {added.record.reference_id} --picture golden.png",
    )


@app.command("list")
def list_(
    product: Annotated[str | None, typer.Option(help="Only of this product.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are out of use.")] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """List the references in use, by product and revision, the newest version first."""
    from copperline.warehouse import list_references, open_warehouse

    engine = open_warehouse(settings_for(workspace).warehouse)
    try:
        found = list_references(engine, product_type=product, retired=all_)
    finally:
        engine.dispose()
    if json_:
        print_json({"references": [_as_dict(record) for record in found]})
        return
    if not found:
        say("The golden library has no such reference.", "Next: copperline references add PRODUCT IMAGE...")
        return
    print_table(
        "Golden references",
        ("product", "revision", "version", "added (UTC)", "by", "size", "state", "id"),
        [
            (
                r.product_type,
                r.revision or "-",
                r.version,
                f"{r.created_at:%Y-%m-%d %H:%M}",
                r.created_by,
                f"{r.width} x {r.height}",
                "retired" if r.retired_at else "in use",
                r.reference_id,
            )
            for r in found
        ],
    )
    say(f"Next: copperline references show {found[0].reference_id}")


@app.command()
def show(
    reference_id: IdArgument,
    picture: Annotated[Path | None, typer.Option(help="Write the image as the model sees it, conditioned.")] = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a reference: its file, recipe and history. Its image is verified."""
    from copperline.data import write_image
    from copperline.reference import WhiteImages
    from copperline.stage import Stage
    from copperline.warehouse import get_reference, open_warehouse
    from copperline.workflows.golden_library import load_reference

    settings = settings_for(workspace)
    engine = open_warehouse(settings.warehouse)
    try:
        record = get_reference(engine, reference_id)
    finally:
        engine.dispose()
    golden = load_reference(record, WhiteImages(Stage(settings)))
    if picture is not None:
        write_image(picture, golden.image)
    if json_:
        print_json({**_as_dict(record), "picture": None if picture is None else str(picture)})
        return
    for name, value in _as_dict(record).items():
        say(f"{name}: {'-' if value in (None, '') else value}")
    if picture is not None:
        say(f"Picture: {picture}")
    say(f"Next: copperline references retire {reference_id}, or add another version")


@app.command()
def retire(reference_id: IdArgument, workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Take a version out of use; the one before it counts again. Inspections keep naming it."""
    from copperline.access.audit import audit_reference_retired
    from copperline.access.principals import Principal
    from copperline.settings import account
    from copperline.warehouse import current_reference, open_warehouse, retire_reference

    engine = open_warehouse(settings_for(workspace).warehouse)
    try:
        record = retire_reference(engine, reference_id)
        audit_reference_retired(engine, Principal(account()), record)
        current = current_reference(engine, record.product_type, record.revision)
    finally:
        engine.dispose()
    if json_:
        print_json({"retired": _as_dict(record), "current": None if current is None else _as_dict(current)})
        return
    say(
        f"Version {record.version} of {_named(record)} is out of use.",
        f"Version {current.version} counts now." if current else "The product has no reference now.",
        "Next: copperline references list --all",
    )


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="Golden images, each named for its product; `_temp` is left away.")],
    revision: RevisionOption = "",
    recipe: RecipeOption = None,
    white_image: WhiteImageOption = None,
    note: Annotated[str | None, typer.Option(help="Kept with each reference.")] = None,
    by: ByOption = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Add a folder of golden images, one for each product, without a check; those that are there already are left."""
    from copperline.access.audit import audit_reference_added
    from copperline.access.principals import Principal
    from copperline.progress import progress
    from copperline.settings import account
    from copperline.stage import Stage
    from copperline.warehouse import open_warehouse
    from copperline.workflows.golden_library import Product, import_golden, product_images

    settings = settings_for(workspace)
    stage = Stage(settings)
    found = product_images(folder)
    if recipe == "suggest":
        raise SettingsError("expected one recipe for all products, found `suggest`", fix="add products one by one")
    used, _ = _recipe(recipe, white_image, folder, stage)
    added, skipped = [], []
    engine = open_warehouse(settings.warehouse)
    try:
        with progress("Importing") as report:
            for done, (name, path) in enumerate(found.items(), 1):
                product = Product(name, revision, note=note, added_by=by or account())
                try:
                    record = import_golden(engine, stage, product, path, used)
                    if record is not None:
                        added.append(record)
                        audit_reference_added(engine, Principal(product.added_by), record)
                except DataError as error:  # one bad file must not cost the others
                    skipped.append({"file": str(path), "reason": str(error)})
                report(done, len(found))
    finally:
        engine.dispose()
    present = len(found) - len(added) - len(skipped)
    if json_:
        print_json({"added": [_as_dict(r) for r in added], "present": present, "skipped": skipped})
        return
    say(f"Added {len(added)} references; {present} were there already, {len(skipped)} were skipped.")
    say(*(f"Skipped: {skip['reason']}" for skip in skipped))
    say("None was checked against other boards.", "Next: copperline references list")


def _recipe(text: str | None, white_image: Path | None, image: Path, stage: Stage) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe that the options say, with notes where it was suggested."""
    from copperline.data import read_image
    from copperline.files import read_whole
    from copperline.reference import Recipe, WhiteImages, suggest_recipe

    notes: tuple[str, ...] = ()
    if text == "suggest":
        suggestion = suggest_recipe(read_image(image))
        recipe, notes = suggestion.recipe, (f"recipe: {suggestion.recipe.to_json() or '{}'}", *suggestion.notes)
    elif text is None or text.lstrip().startswith("{"):
        recipe = Recipe.from_json(text)
    else:
        recipe = Recipe.from_json(read_whole(Path(text)).decode("utf-8", errors="replace"))
    if white_image is not None:
        sha256 = WhiteImages(stage).add(read_whole(white_image), str(white_image))
        recipe = recipe.model_copy(update={"white_image": sha256, "flat_field": 0.0})
    return recipe, notes


def _tell(check: Check, notes: tuple[str, ...]) -> None:
    """What the check showed, for people."""
    say(*notes)
    if check.compared_with is None:
        say("Nothing could be cross-checked: give three images or more, and a defect of one of them is found.")
    rows = []
    for number, candidate in enumerate(check.candidates):
        score = "-" if candidate.score is None else f"{candidate.score:.2f}"
        places = "-" if candidate.score is None else "not compared" if not candidate.registers else ""
        rows.append(
            (
                candidate.path.name,
                score,
                places or len(candidate.suspicions),
                "; ".join(candidate.warnings) or "-",
                "best" if number == check.best else "",
            )
        )
    print_table(
        f"Compared with {check.compared_with or 'nothing'}",
        ("file", "registration", "places that differ", "focus and light", ""),
        rows,
    )
    for candidate in check.candidates:
        for s in candidate.suspicions:
            x1, y1, x2, y2 = s.box
            sure = "" if s.confidence is None else f" ({s.confidence:.2f})"
            say(
                f"Look at {candidate.path.name}: {s.defect_class}{sure}, {x2 - x1:.0f} x {y2 - y1:.0f} px at "
                f"({x1:.0f}, {y1:.0f})"
            )


def _check_as_dict(check: Check) -> dict[str, Any]:
    return {"compared_with": check.compared_with, "candidates": [c.to_dict() for c in check.candidates]}


def _draw(folder: Path | None, check: Check, taxonomy: Taxonomy) -> list[str]:
    from copperline.data import read_image, write_image
    from copperline.evaluation import draw_detections
    from copperline.workflows.referencing import suspicions_as_detections

    if folder is None:
        return []
    written = []
    for number, candidate in enumerate(check.candidates, 1):
        path = folder / f"{number}-{candidate.path.stem}.png"
        detections, widened = suspicions_as_detections(candidate.suspicions, taxonomy)
        write_image(path, draw_detections(read_image(candidate.path), detections, widened))
        written.append(str(path))
    return written


def _named(record: ReferenceRecord) -> str:
    return record.product_type + (f", revision {record.revision}" if record.revision else "")


def _as_dict(record: ReferenceRecord) -> dict[str, Any]:
    import json
    from dataclasses import asdict

    content = asdict(record)
    content["created_at"] = record.created_at.isoformat()
    content["retired_at"] = None if record.retired_at is None else record.retired_at.isoformat()
    content["conditioning"] = None if record.conditioning is None else json.loads(record.conditioning)
    return content
