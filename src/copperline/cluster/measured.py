"""The measured figures that a capacity is computed from, with where and when they were measured.

`python benchmarks/capacity.py` and `python benchmarks/scaling.py` write them; the file that comes with the package is
what they wrote on the machine that it names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from copperline.errors import DataError
from copperline.files import atomic_file

SHIPPED = Path(__file__).with_name("measured.json")
_AGAIN = "measure again with `python benchmarks/capacity.py`"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Figures(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(_Figures):
    """Attributes:
    processor: as the system names it.
    cores: that the measuring process could use.
    memory_gib: of the machine.
    """

    processor: str
    cores: int = Field(ge=1)
    memory_gib: Positive
    system: str
    python: str


class Boards(_Figures):
    """What was inspected.

    Attributes:
        source: in words.
        count: distinct boards.
        width, height: of the images, px.
        image_bytes: mean size of an image's file.
    """

    source: str
    count: int = Field(ge=1)
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    image_bytes: Positive


class Inspection(_Figures):
    """One core at work.

    Attributes:
        model: that inspected.
        core_ms_per_board: from the image's file to the call, on one core, without the warehouse.
    """

    model: str
    core_ms_per_board: Positive


class Warehouse(_Figures):
    """One kind of database, written to as the service does.

    Attributes:
        boards: that were written.
        rows_per_board: of a board without defects: the board, its inspection, the request that it came with; and its
            share of the counts by hour.
        bytes_per_board: rows and indexes of a board without defects, what is counted by hour included.
        bytes_per_defect: rows and indexes that each detection adds.
        write_ms_per_board: of one writer, boards written in transactions of `batch`.
    """

    boards: int = Field(ge=1)
    rows_per_board: Positive
    bytes_per_board: Positive
    bytes_per_defect: Positive
    write_ms_per_board: Positive
    batch: int = Field(ge=1)


class Training(_Figures):
    """One core at work.

    Attributes:
        network: that was trained.
        image_size: of the crops, px.
        images_per_core_s: crops a second through forward, backward and optimiser.
        parameters: of the network, which a step sends the gradients of.
        checkpoint_bytes: of one checkpoint file.
    """

    network: str
    image_size: int = Field(ge=1)
    images_per_core_s: Positive
    parameters: int = Field(ge=1)
    checkpoint_bytes: Positive


class Ratio(_Figures):
    """How much faster, from alternating runs.

    Attributes:
        median, lowest, highest: of the runs' ratios.
        runs: pairs of runs.
    """

    median: Positive
    lowest: Positive
    highest: Positive
    runs: int = Field(ge=1)


class Scaling(_Figures):
    """Two cores against one, and Ray against the plain loop, in images a second; None: not measured.

    Attributes:
        training_local, training_ray: `copperline train --engine`, two workers of one core against one.
        inspection_local: `copperline inspect`, one process with two threads against one.
        inspection_ray: `copperline inspect --engine ray`, two workers of one core against one.
        ray_to_local_one_core, ray_to_local_two_cores: batch inspection by Ray against the plain loop on as many cores.
        driver_ms_per_board: what the process that leads Ray's batch inspection does itself.
        training_apart, inspection_apart: two runs that know nothing of each other, at the same time, against one: what
            the machine's two cores give together, and so the most that two workers can.
        largest_weight_difference: between the models of one and of two workers after the same steps.
    """

    training_apart: Ratio | None = None
    training_local: Ratio | None = None
    training_ray: Ratio | None = None
    inspection_apart: Ratio | None = None
    inspection_local: Ratio | None = None
    inspection_ray: Ratio | None = None
    ray_to_local_one_core: Ratio | None = None
    ray_to_local_two_cores: Ratio | None = None
    driver_ms_per_board: NotNegative | None = None
    largest_weight_difference: NotNegative | None = None


class Measured(_Figures):
    """All figures of one machine.

    Attributes:
        measured_at: day, UTC.
        copperline: its version.
        warehouses: by `sqlite` and `postgresql`; without a server only the first.
    """

    measured_at: str
    copperline: str
    machine: Machine
    boards: Boards
    inspection: Inspection
    warehouses: dict[str, Warehouse]
    training: Training
    scaling: Scaling = Scaling()


def read_measured(path: Path = SHIPPED) -> Measured:
    """Raises DataError if the file is missing, damaged, or has a figure that cannot be."""
    try:
        return Measured.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=path, fix=_AGAIN) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise DataError(
            f"expected measured figures, found at {name!r}: {first['msg']}", where=path, fix=_AGAIN
        ) from error
    except ValueError as error:
        raise DataError(f"expected JSON, found a mistake ({error})", where=path, fix=_AGAIN) from error


def write_measured(measured: Measured, path: Path) -> None:
    """Raises DataError if the file cannot be written."""
    content: dict[str, Any] = measured.model_dump(mode="json")
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
