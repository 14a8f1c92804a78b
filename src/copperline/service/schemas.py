"""What the routes take and give, as the OpenAPI document describes it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from copperline.line import InspectionDocument
from copperline.line.documents import ModelName
from copperline.service.fields import Key, Moment, Name, NameOrEmpty, Note
from copperline.taxonomy import Call, Disposition

Coordinate = Annotated[float, Field(ge=0, le=16_384, allow_inf_nan=False)]
PixelBox = tuple[Coordinate, Coordinate, Coordinate, Coordinate]


class Answer(BaseModel):
    """What the service gives."""

    model_config = ConfigDict(frozen=True)


class Asked(BaseModel):
    """What the service takes: a field that it does not know is a mistake, and not left out in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldProblem(Answer):
    """A field that is wrong."""

    field: str
    problem: str


class ProblemDocument(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:copperline:problem:not-found",
                    "title": "There is no such thing",
                    "status": 404,
                    "detail": "expected an inspected board, found no 'B7'; give its board_id",
                }
            ]
        },
    )

    type: str = Field(description="urn:copperline:problem:KIND; for programs")
    title: str = Field(description="The same for each problem of a kind")
    status: int
    detail: str = Field(description="What was expected, what was found and what to do")
    errors: list[FieldProblem] | None = Field(None, description="Fields that are wrong")
    reasons: list[str] | None = Field(None, description="Why the service is not ready")


class InspectionAnswer(InspectionDocument):
    """An inspection as the answer to a request."""

    new: bool = Field(description="Whether this request made it; false: it was there already")

    @classmethod
    def of(cls, document: InspectionDocument, new: bool) -> InspectionAnswer:
        return cls.model_construct(**dict(document), new=new)


class InspectionsPage(Answer):
    """The newest first."""

    inspections: list[InspectionDocument]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: this is the last")


class InspectionsAsked(Asked):
    """Which inspections; without a field, all."""

    board_id: Name | None = None
    station_id: Name | None = None
    line_id: Name | None = Field(None, description="Of the board, as it is known now")
    product_type: Name | None = Field(None, description="Of the board, as it is known now")
    call: Call | None = None
    since: Moment | None = Field(None, description="inspected_at at or after it")
    until: Moment | None = Field(None, description="inspected_at before it")
    limit: int = Field(50, ge=1, le=200)
    cursor: Annotated[str, StringConstraints(max_length=300)] | None = Field(
        None, description="next_cursor of the page before"
    )


class DispositionDocument(Answer):
    """What a person decided."""

    disposition_id: str
    inspection_id: str
    inference_id: str | None = Field(
        description="The detection; null: the whole board, or, if ESCAPE with a box, a missed defect"
    )
    disposition: Disposition
    reviewer: str
    decided_at: AwareDatetime
    note: str | None
    corrected_class: str | None
    box: tuple[float, float, float, float] | None = Field(
        description="x1, y1, x2, y2 in px of the test image; null: none was given, or the image's size is not known"
    )


class TracedInspection(InspectionDocument):
    """An inspection with what people decided of it."""

    verdict: str | None = Field(description="What review found, GOOD or BAD; null: not reviewed")
    dispositions: list[DispositionDocument] = Field(description="In the order in which they were made")


class BoardDocument(Answer):
    """All that is known of a board."""

    board_id: str
    line_id: str | None
    product_type: str | None
    panel_id: str | None
    manufacturing_date: date | None
    simulated: bool = Field(description="Line, product or board are made up")
    inspections: list[TracedInspection] = Field(description="The latest first")


class JudgementAsked(Asked):
    """One decision. The whole board comes before its single detections: the latest counts.

    ESCAPE with `corrected_class` and `box` and without `inference_id` is a defect that was not detected, on whatever
    board; it says nothing of what was detected.
    """

    inspection_id: Key
    disposition: Disposition
    inference_id: Key | None = Field(None, description="The detection; null: the whole board, or a missed defect")
    corrected_class: Name | None = Field(None, description="What the defect really is, one of the model's classes")
    box: PixelBox | None = Field(None, description="Where it really is: x1, y1, x2, y2 in px of the test image")
    note: Note | None = None

    @model_validator(mode="after")
    def _has_an_area(self) -> Self:
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("expected a box as x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        return self


class DispositionsAsked(Asked):
    """What one person decided: all of it is recorded, or nothing."""

    judgements: list[JudgementAsked] = Field(min_length=1, max_length=200)
    reviewer: Name | None = Field(None, description="Who decided, where no key is needed; else the key's name is")


class DispositionsAnswer(Answer):
    """What was recorded, in order."""

    dispositions: list[DispositionDocument]


class QualityAsked(Asked):
    """Which boards, by the time of their first inspection; without a field, all."""

    since: Moment | None = Field(None, description="Rounded down to the full UTC hour, by which boards are counted")
    until: Moment | None = Field(None, description="Rounded down to the full UTC hour, which is not in it")
    line: list[NameOrEmpty] = Field(default_factory=list, max_length=100, description="Empty text: unknown")
    product: list[NameOrEmpty] = Field(default_factory=list, max_length=100, description="Empty text: unknown")
    model: list[Name] = Field(
        default_factory=list, max_length=100, description="NAME:VERSION of the boards' latest inspection"
    )


class FigureDocument(Answer):
    """A figure with what it was computed from."""

    key: str
    label: str
    value: float | None = Field(description="null: not measured")
    unit: str
    proportion: bool = Field(description="Whether the value is a fraction in [0, 1]")
    numerator: int
    denominator: int | None = Field(description="null: unknown")
    interval: tuple[float, float] | None = Field(description="95 %, in the unit of the value")
    formula: str
    not_measured: str | None = Field(description="Why there is no value")


class ParetoDocument(Answer):
    """One class of the Pareto table."""

    defect_class: str = Field(serialization_alias="class")
    count: int
    share: float
    cumulative: float


class QualityDocument(Answer):
    """The figures of a period."""

    since: AwareDatetime | None = Field(description="As it was cut: a full UTC hour; null: from the first board on")
    until: AwareDatetime | None = Field(description="As it was cut, not in the period; null: to the last board")
    boards: int = Field(description="Inspected boards")
    simulated_boards: int = Field(description="Of which line, product or board are made up")
    figures: list[FigureDocument]
    pareto: list[ParetoDocument] = Field(description="Detections by class without those reviewed as false calls")


class ModelDocument(Answer):
    """A model that can be chosen."""

    key: str = Field(description="What promotions take as version")
    name: str
    version: str
    aliases: list[str]
    created_at: AwareDatetime | None
    sha256: str
    classes: list[str] | None = Field(description="null: its card cannot be read")
    fault: str | None = Field(description="Why it cannot be used or shown")


class Serving(ModelName):
    """The model that inspects now."""

    asked_for: str = Field(description="What the service was started with, such as champion")
    since: AwareDatetime
    fault: str | None = Field(description="Why the model that is asked for now is not the one that inspects")


class ModelsDocument(Answer):
    """Registered versions, the newest first, then those that ship with Copperline."""

    serving: Serving
    models: list[ModelDocument]


class PromotionAsked(Asked):
    """Which alias is to point where, and why."""

    version: Name = Field(description="A version number, an alias, or builtin:NAME")
    alias: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)] = "champion"
    reason: Note = ""


class PromotionAnswer(Answer):
    """Where the alias points now."""

    name: str
    version: str
    alias: str
    aliases: list[str] = Field(description="All of this version")


class StationDocument(Answer):
    """A station of the line."""

    station_id: str
    line_id: str | None = Field(description="When it last reported; null: unknown")
    first_seen_at: AwareDatetime
    last_seen_at: AwareDatetime


class StationsDocument(Answer):
    """By name."""

    stations: list[StationDocument]


class ReferenceDocument(Answer):
    """A version of a product's golden image."""

    reference_id: str
    product_type: str
    revision: str = Field(description="Empty: the product has none")
    version: int = Field(description="Counts from 1 for each product and revision; the newest in use counts")
    image_sha256: str
    width: int = Field(description="px")
    height: int = Field(description="px")
    conditioning: dict[str, Any] | None = Field(description="Recipe for it and for the test images; null: none")
    opportunities: int | None = Field(description="Defect opportunities of a board; null: unknown")
    created_at: AwareDatetime
    created_by: str
    retired_at: AwareDatetime | None = Field(description="null: in use")
    note: str | None


class ReferencesDocument(Answer):
    """By product and revision, the newest version first."""

    references: list[ReferenceDocument]


class ReferencesAsked(Asked):
    """Which references."""

    product_type: Name | None = None
    retired: bool = Field(False, description="Also those that are out of use")


class Health(Answer):
    """The service is alive."""

    status: Literal["ok"] = "ok"


class Ready(Answer):
    """The service can inspect."""

    status: Literal["ready"] = "ready"
    model: Serving
    waiting: int = Field(description="Boards that are accepted and not judged yet")
