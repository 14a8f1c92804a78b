"""`copperline cluster capacity`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, print_json, print_table, say
from copperline.cluster.plant import Plant, Prices

if TYPE_CHECKING:
    from copperline.cluster import Measured, Step

_PLANT = Plant()


def capacity(
    lines: Annotated[int, typer.Option(help="Lines of each plant.")] = _PLANT.lines,
    plants: Annotated[int, typer.Option(help="Plants, each with its own cores and warehouse.")] = _PLANT.plants,
    takt_seconds: Annotated[float, typer.Option(help="From one panel to the next on a line.")] = _PLANT.takt_s,
    boards_per_panel: Annotated[int, typer.Option(help="Boards in each panel.")] = _PLANT.boards_per_panel,
    images_per_board: Annotated[int, typer.Option(help="Image pairs of each board.")] = _PLANT.images_per_board,
    hours_per_day: Annotated[float, typer.Option(help="That lines run.")] = _PLANT.hours_per_day,
    days_per_year: Annotated[int, typer.Option(help="That lines run.")] = _PLANT.days_per_year,
    peak: Annotated[float, typer.Option(help="The busiest minutes over the mean.")] = _PLANT.peak,
    defects_per_image: Annotated[float, typer.Option(help="Mean number of detections.")] = _PLANT.defects_per_image,
    utilisation: Annotated[
        float, typer.Option(help="Cores are busy for at most this share of the peak.")
    ] = _PLANT.utilisation,
    longest_wait_seconds: Annotated[
        float, typer.Option(help="Mean wait before an inspection begins, at the peak.")
    ] = _PLANT.longest_mean_wait_s,
    image_days: Annotated[int, typer.Option(help="Working days that images are kept for.")] = _PLANT.image_days,
    row_days: Annotated[int, typer.Option(help="Working days that rows are kept for.")] = _PLANT.row_days,
    database: Annotated[str, typer.Option(help="sqlite or postgresql.")] = _PLANT.database,
    cores_per_node: Annotated[int, typer.Option(help="Of the machines.")] = _PLANT.cores_per_node,
    spare_nodes: Annotated[int, typer.Option(help="Of each plant, for one that fails.")] = _PLANT.spare_nodes,
    training_crops: Annotated[
        int, typer.Option(help="Training crops of an epoch: boards x --crops-per-pair.")
    ] = _PLANT.training_crops,
    training_epochs: Annotated[int, typer.Option(help="Epochs of one training.")] = _PLANT.training_epochs,
    training_workers: Annotated[int, typer.Option(help="Workers of one core each.")] = _PLANT.training_cores,
    core_hour_price: Annotated[float | None, typer.Option(help="Of one core for one hour.")] = None,
    gb_month_price: Annotated[float | None, typer.Option(help="Of one GB on the stage for one month.")] = None,
    database_month_price: Annotated[float | None, typer.Option(help="Of the database for one month.")] = None,
    currency: Annotated[str, typer.Option(help="Of the prices.")] = "EUR",
    measured: Annotated[
        Path | None, typer.Option(help="Figures of benchmarks/capacity.py; default: those that came with Copperline.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Compute cores, storage, rows, network and money of a plant from measured figures, line by line."""
    from copperline.cluster import capacity as compute
    from copperline.cluster import read_measured
    from copperline.cluster.measured import SHIPPED

    plant = Plant(
        lines=lines,
        plants=plants,
        takt_s=takt_seconds,
        boards_per_panel=boards_per_panel,
        images_per_board=images_per_board,
        hours_per_day=hours_per_day,
        days_per_year=days_per_year,
        peak=peak,
        defects_per_image=defects_per_image,
        utilisation=utilisation,
        longest_mean_wait_s=longest_wait_seconds,
        image_days=image_days,
        row_days=row_days,
        database=database,
        cores_per_node=cores_per_node,
        spare_nodes=spare_nodes,
        training_crops=training_crops,
        training_epochs=training_epochs,
        training_cores=training_workers,
    )
    figures = read_measured(SHIPPED if measured is None else measured)
    need = compute(figures, plant, Prices(core_hour_price, gb_month_price, database_month_price, currency))
    if json_:
        steps = [asdict(step) for step in need.steps]
        print_json({"plant": asdict(plant), "measured": figures.model_dump(mode="json"), "steps": steps})
        return
    print_table(
        f"{plants:,} x {lines} lines" if plants > 1 else f"{lines} lines",
        ("what", "how", "comes to"),
        [(step.what, step.how, figure(step)) for step in need.steps],
    )
    say(_source(figures), "Next: measure your own boards and machine with `python benchmarks/capacity.py`")


def figure(step: Step) -> str:
    """The value for people: four digits, the thousands apart."""
    return f"{step.value:,.0f} {step.unit}" if abs(step.value) >= 1000 else f"{step.value:.4g} {step.unit}"


def _source(figures: Measured) -> str:
    machine, boards = figures.machine, figures.boards
    return (
        f"Measured on {figures.measured_at} with Copperline {figures.copperline} on {machine.processor} "
        f"({machine.cores} cores): {boards.count} {boards.source} of {boards.width} x {boards.height} px, "
        f"{figures.inspection.core_ms_per_board:.1f} ms a board and core with {figures.inspection.model}."
    )
