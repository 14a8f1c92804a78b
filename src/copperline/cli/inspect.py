"""`copperline inspect`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, ModelOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from copperline.inspection import Detector, TileSummary
    from copperline.settings import Settings
    from copperline.stage import Location


class Engine(StrEnum):
    """What inspects many boards."""

    LOCAL = "local"
    RAY = "ray"


def inspect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE|DIR|URL",
            help="A test image, or a folder of them; of an object store too: s3://BUCKET/FOLDER; of Snowflake: "
            "@STAGE/FOLDER.",
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option(help="The golden image, or for a folder the folder or URL of golden images named by board id."),
    ] = None,
    model: ModelOption = "champion",
    station: Annotated[str, typer.Option(help="Where it is inspected; kept in the warehouse.")] = "cli",
    picture: Annotated[Path | None, typer.Option(help="Write the image with its detections drawn in.")] = None,
    every_tile: Annotated[
        bool, typer.Option("--every-tile", help="On a scan: look at tiles that equal their reference too.")
    ] = False,
    engine: Annotated[Engine, typer.Option(help="For a folder: this process, or workers of a Ray cluster.")] = (
        Engine.LOCAL
    ),
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --engine ray: workers of one core each; default: all cores.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="With --engine ray: HOST:PORT of the head, or auto; default: a Ray of this machine alone."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="For a folder: also inspect what was already inspected with this model.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing to the warehouse.")] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Inspect one board or a folder of boards; each gets a row in the warehouse, the good ones too.

    A folder that is inspected a second time, after a failure or with new boards in it, goes on where it was.
    """
    from copperline.stage import location_of

    if engine is Engine.LOCAL and not (workers is None and address is None):
        raise SettingsError("--workers and --address are for --engine ray", fix="add it, or leave them out")
    settings = settings_for(workspace)
    place, golden = location_of(source), None if reference is None else location_of(reference)
    if _is_folder(place):
        if picture is not None:
            raise SettingsError("expected one image with --picture, found a folder", where=place, fix="leave it out")
        from copperline.cli.inspect_many import Cluster, Order, inspect_many

        cluster = Cluster(workers, address) if engine is Engine.RAY else None
        inspect_many(Order(place, golden, model, station, again, dry_run), settings, cluster, json_)
        return
    if engine is Engine.RAY:
        raise SettingsError(
            "expected a folder or URL with --engine ray, found one image", where=place, fix="leave it out"
        )
    from copperline.inspection import Detector

    _inspect_board(
        Detector.load(model, settings=settings), place, golden, station, picture, every_tile, dry_run, settings, json_
    )


def _is_folder(place: Location) -> bool:
    """A URL is one unless it ends as an image does: a store has no folders to ask for."""
    if isinstance(place, Path):
        return place.is_dir()
    from copperline.data.images import IMAGE_SUFFIXES

    return Path(place).suffix.lower() not in IMAGE_SUFFIXES


def _inspect_board(
    detector: Detector,
    image: Location,
    reference: Location | None,
    station: str,
    picture: Path | None,
    every_tile: bool,
    dry_run: bool,
    settings: Settings,
    json_: bool,
) -> None:
    from copperline.inspection.inspect import board_id_of, inspect_files, read_file
    from copperline.progress import progress
    from copperline.taxonomy import Call
    from copperline.warehouse import open_warehouse, place, write_inspection

    with progress("Inspecting tiles", at_once=False) as report_progress:
        test, golden = read_file(image), None if reference is None else read_file(reference)
        inspection = inspect_files(
            detector, board_id_of(image), test, golden, skip_equal=not every_tile, progress=report_progress
        )
    if not dry_run:
        engine = open_warehouse(settings.warehouse)
        write_inspection(engine, inspection.to_record(station), detector.taxonomy)
        engine.dispose()
    if picture is not None:
        from copperline.data import decode_image, write_image
        from copperline.evaluation import draw_detections, draw_scan
        from copperline.stage import read_bytes

        detections, taxonomy = inspection.verdict.detections, detector.taxonomy
        drawn = (
            draw_detections(decode_image(read_bytes(image), image), detections, taxonomy)  # in its colours
            if inspection.verdict.tiles is None
            else draw_scan(test.image, detections, taxonomy)
        )
        write_image(picture, drawn)
    if json_:
        print_json(inspection.to_dict())
        return
    verdict = inspection.verdict
    score = verdict.registration_score
    say(
        f"{inspection.board_id}: {verdict.call.value}, {len(verdict.detections)} defects, {verdict.latency_ms:.0f} ms"
        + ("" if score is None else f", registration {score:.2f}")
    )
    if verdict.tiles is not None:
        say(_how_looked_at(verdict.tiles))
    if verdict.call is Call.WITHHELD:
        say(why_withheld())
    if len(verdict.detections):
        print_table(
            "",
            ("class", "confidence", "x1", "y1", "x2", "y2"),
            [
                (d["class"], d["confidence"], *(f"{value:.0f}" for value in d["box"]))
                for d in verdict.detections.to_dicts(detector.taxonomy)
            ],
        )
    if picture is not None:
        say(f"Picture: {picture}")
    say("Nothing was written." if dry_run else f"Written to {place(settings.warehouse)}.")


def _how_looked_at(tiles: TileSummary) -> str:
    if not tiles.unregistered:
        skipped = f", of which {tiles.skipped} equal their reference and were skipped" if tiles.skipped else ""
        return f"Looked at in {tiles.tiles} tiles{skipped}."
    first = tiles.unregistered[0]
    return (
        f"{len(tiles.unregistered)} of {tiles.tiles} tiles do not show what the reference shows there, the first at "
        f"x {first.x1} to {first.x2}, y {first.y1} to {first.y2} px."
    )


def why_withheld() -> str:
    from copperline.inspection import DEFAULT_POLICY

    return (
        f"WITHHELD means: registration is below {DEFAULT_POLICY.withheld_below:g}, so the reference is not that "
        "board's, or is turned or shifted too far. Nothing is known of its defects."
    )
