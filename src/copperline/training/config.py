"""What a training run is made of: everything that decides its result."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# What a run that starts from a trained model does otherwise: it has less to learn, and more to lose. Many of its pairs
# are small crops.
FINE_TUNING: dict[str, Any] = {"epochs": 4, "crops_per_pair": 12, "learning_rate": 1e-3, "warmup_steps": 50}


class TrainConfig(BaseModel):
    """Settings of one training run. Kept in the checkpoint and in the model card.

    An epoch shows each training pair as `crops_per_pair` crops: 44 crops of 96 px cover a board of 640 px once. Most
    of them lie around a defect, so small crops show more defects for the same arithmetic than large ones do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str = Field("yolo12-pico", description="yolo12-pico, yolo12-pico-wide or yolo12n")
    epochs: int = Field(12, ge=1)
    crops_per_pair: int = Field(44, ge=1)
    crop_size: int = Field(96, ge=64, multiple_of=32, description="side of a training crop, px")
    batch_size: int = Field(44, ge=1, description="crops in a step, over all processes together")
    micro_batch: int = Field(
        22, ge=1, description="most crops that pass the network together; batch norm sees these, a worker takes some"
    )
    seed: int = Field(0, ge=0)

    learning_rate: float = Field(6e-3, gt=0)
    final_learning_rate: float = Field(0.01, gt=0, le=1, description="share of the learning rate at the end")
    warmup_steps: int = Field(150, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    gradient_clip: float = Field(5.0, gt=0, description="largest norm of the gradient")
    ema_decay: float = Field(0.998, gt=0, lt=1)

    near_defect: float = Field(0.8, ge=0, le=1, description="share of crops that are placed around a defect")
    clean_share: float = Field(0.15, ge=0, le=1, description="share of crops whose defects are painted over")
    reference_dropout: float = Field(0.25, ge=0, le=1, description="share of crops without a reference")
    reference_jitter: float = Field(1.5, ge=0, description="largest extra shift of the reference, px")
    rescan: float = Field(0.4, ge=0, le=1, description="share of binarised images that get rough edges anew")
    drawn: float = Field(
        0.0, ge=0, le=1, description="share of crops with defects drawn into the reference, instead of labelled ones"
    )
    box_margin: float = Field(9.0, ge=0, le=64, description="between a drawn defect and its box, px")

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the processor or GPU computes in it, else float32"
    )
    validate_every: int = Field(4, ge=1, description="epochs between validations; the last is always validated")
    init: str | None = Field(None, description="model that the weights were taken from; None: fresh weights")
    init_sha256: str | None = Field(None, description="of its file")
    mix: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(
        (), description="shares of the crops that come from each data set, where there are several"
    )
    image_cache_mib: int = Field(
        1536, ge=0, description="memory of a machine for decoded images; beyond it they are decoded anew"
    )
