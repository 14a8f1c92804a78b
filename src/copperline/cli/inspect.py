"""`copperline inspect`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, ModelOption, WorkspaceOption, print_json, print_table, say, settings_for
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from copperline.inspection import Detector, TileSummary
    from copperline.settings import Settings


def inspect(
    path: Annotated[Path, typer.Argument(metavar="IMAGE|DIR", help="A test image, or a folder of them.")],
    reference: Annotated[
        Path | None,
        typer.Option(help="The golden image, or for a folder the folder of golden images named by board id."),
    ] = None,
    model: ModelOption = "champion",
    station: Annotated[str, typer.Option(help="Where it is inspected; kept in the warehouse.")] = "cli",
    picture: Annotated[Path | None, typer.Option(help="Write the image with its detections drawn in.")] = None,
    every_tile: Annotated[
        bool, typer.Option("--every-tile", help="On a scan: look at tiles that equal their reference too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing to the warehouse.")] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Inspect one board or a folder of boards; each gets a row in the warehouse, the good ones too."""
    from copperline.inspection import Detector

    settings = settings_for(workspace)
    if path.is_dir():
        if picture is not None:
            raise SettingsError("expected one image with --picture, found a folder", where=path, fix="leave it out")
        _inspect_folder(Detector.load(model, settings=settings), path, reference, station, dry_run, settings, json_)
    else:
        detector = Detector.load(model, settings=settings)
        _inspect_board(detector, path, reference, station, picture, every_tile, dry_run, settings, json_)


def _inspect_board(
    detector: Detector,
    image: Path,
    reference: Path | None,
    station: str,
    picture: Path | None,
    every_tile: bool,
    dry_run: bool,
    settings: Settings,
    json_: bool,
) -> None:
    from copperline.inspection import inspect_image
    from copperline.progress import progress
    from copperline.taxonomy import Call
    from copperline.warehouse import open_warehouse, place, write_inspection

    with progress("Inspecting tiles", at_once=False) as report_progress:
        inspection = inspect_image(detector, image, reference, skip_equal=not every_tile, progress=report_progress)
    if not dry_run:
        engine = open_warehouse(settings.warehouse)
        write_inspection(engine, inspection.to_record(station), detector.taxonomy)
        engine.dispose()
    if picture is not None:
        from copperline.data import read_image, write_image
        from copperline.evaluation import draw_detections, draw_scan
        from copperline.inspection.inspect import read_file

        detections, taxonomy = inspection.verdict.detections, detector.taxonomy
        write_image(
            picture,
            draw_detections(read_image(image), detections, taxonomy)
            if inspection.verdict.tiles is None
            else draw_scan(read_file(image).image, detections, taxonomy),
        )
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
        say(_why_withheld())
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


def _inspect_folder(
    detector: Detector,
    folder: Path,
    references: Path | None,
    station: str,
    dry_run: bool,
    settings: Settings,
    json_: bool,
) -> None:
    from copperline.inspection import inspect_pairs, pairs_in_folder
    from copperline.progress import progress
    from copperline.reference import GoldenLibrary
    from copperline.taxonomy import Call
    from copperline.warehouse import open_warehouse, place, write_inspection

    pairs = pairs_in_folder(folder, None if references is None else GoldenLibrary(references))
    engine = None if dry_run else open_warehouse(settings.warehouse)
    write = (lambda _: True) if engine is None else partial(write_inspection, engine, taxonomy=detector.taxonomy)
    with progress("Inspecting") as report_progress:
        batch = inspect_pairs(detector, pairs, write, station_id=station, progress=report_progress)
    if engine is not None:
        engine.dispose()
    skipped = [{"path": str(skip.path), "reason": skip.reason} for skip in batch.skipped]
    if json_:
        print_json(
            {
                "inspected": batch.inspected,
                "new": batch.new,
                "calls": batch.calls,
                "defects": batch.defects,
                "skipped": skipped,
            }
        )
    else:
        for skip in batch.skipped:
            say(f"skipped: {skip.reason}")
        calls = ", ".join(f"{count} {call.value}" for call, count in batch.calls.items())
        say(
            f"Inspected {batch.inspected} boards: {calls}; {batch.defects} defects; {len(skipped)} boards skipped.",
            *([_why_withheld()] if batch.calls[Call.WITHHELD] else []),
            "Nothing was written." if dry_run else f"Written to {place(settings.warehouse)} ({batch.new} were new).",
        )
    if batch.inspected == 0:
        raise SettingsError("expected boards to inspect, none could be", where=folder, fix="see the reasons above")


def _how_looked_at(tiles: TileSummary) -> str:
    if not tiles.unregistered:
        skipped = f", of which {tiles.skipped} equal their reference and were skipped" if tiles.skipped else ""
        return f"Looked at in {tiles.tiles} tiles{skipped}."
    first = tiles.unregistered[0]
    return (
        f"{len(tiles.unregistered)} of {tiles.tiles} tiles do not show what the reference shows there, the first at "
        f"x {first.x1} to {first.x2}, y {first.y1} to {first.y2} px."
    )


def _why_withheld() -> str:
    from copperline.inspection import DEFAULT_POLICY

    return (
        f"WITHHELD means: registration is below {DEFAULT_POLICY.withheld_below:g}, so the reference is not that "
        "board's, or is turned or shifted too far. Nothing is known of its defects."
    )
