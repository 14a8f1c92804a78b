"""What the workers inside Snowflake are told, as the text that the distributor passes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from copperline.data import BoardDataset, BoardPair, data_hash
from copperline.errors import TrainingError
from copperline.model_info import ClassInfo, ModelInfo
from copperline.taxonomy import DefectClass, Taxonomy
from copperline.training.config import TrainConfig
from copperline.training.engines.job import TrainingJob

_KEY = "copperline"


class SnowflakeOrder(BaseModel):
    """One start of the workers. Images and labels come from the table, everything else from here.

    Attributes:
        location: of the run on the stage.
        start: name of this start's folder there.
        resume: whether to go on from the checkpoint on the stage.
        init: whether to start from the model on the stage.
        content: what the boards have to be, see `content_of`.
        boards, validation_boards: file names, in the order of the job's pairs.
        workers_per_node: for the workers' place on their node.
        on_gpu: whether each worker has a GPU.
        timeout_s: how long a worker waits for the others.

    The rest is as in `TrainingJob`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: str
    start: str
    resume: bool
    init: bool
    config: TrainConfig
    classes: tuple[ClassInfo, ...]
    data_hash: str
    content: str
    boards: tuple[str, ...]
    validation_boards: tuple[str, ...]
    parts: tuple[int, ...]
    checkpoint_every_s: float
    workers_per_node: int
    on_gpu: bool
    timeout_s: float

    @property
    def taxonomy(self) -> Taxonomy:
        return Taxonomy(tuple(DefectClass(i, c.name, c.severity, c.colour) for i, c in enumerate(self.classes)))

    def as_hyper_params(self) -> dict[str, str]:
        """Texts alone: the distributor's parameters are `Dict[str, str]`."""
        return {_KEY: self.model_dump_json()}

    @classmethod
    def of_hyper_params(cls, given: Mapping[str, Any] | None) -> SnowflakeOrder:
        """Raises TrainingError if the worker was started by somebody else, or by another Copperline."""
        try:
            return cls.model_validate_json((given or {})[_KEY])
        except (KeyError, ValidationError) as error:
            raise TrainingError(
                f"the worker was given no order that it understands ({type(error).__name__})",
                fix="install the same Copperline on all nodes",
            ) from error


def order_for(job: TrainingJob, **others: Any) -> SnowflakeOrder:
    """Args:
    others: what is not in `job`.
    """
    return SnowflakeOrder(
        init=job.init is not None,
        config=job.config,
        classes=ModelInfo.class_infos(job.taxonomy),
        data_hash=job.data_hash,
        content=content_of(job.pairs, job.validation_pairs, job.taxonomy),
        boards=tuple(pair.test_path.name for pair in job.pairs),
        validation_boards=tuple(pair.test_path.name for pair in job.validation_pairs),
        parts=job.parts,
        checkpoint_every_s=job.checkpoint_every_s,
        **others,
    )


def content_of(pairs: Sequence[BoardPair], validation_pairs: Sequence[BoardPair], taxonomy: Taxonomy) -> str:
    """Hexadecimal SHA-256 of images, labels, classes and file names, and of which boards are trained on."""
    trained = [replace(pair, board_id=pair.test_path.name, split="train") for pair in pairs]
    validated = [replace(pair, board_id=pair.test_path.name, split="val") for pair in validation_pairs]
    return data_hash(BoardDataset("", "", (*trained, *validated), taxonomy))
