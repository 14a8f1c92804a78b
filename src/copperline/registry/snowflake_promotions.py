"""The history of promotions of a model in Snowflake: a file for each on the stage, which is written and never changed.

As in the workspace, a promotion is there before the alias moves; if moving it then fails, a second file says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import ValidationError

from copperline.registry.promotions import History, Promotion
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage.snowflake_files import get_bytes, list_entries, put_bytes
from copperline.stage.stage_path import StagePath

if TYPE_CHECKING:
    from snowflake.snowpark import Session


class StagedPromotionLog:
    """The files in `models/MODEL/promotions` of the stage `names.stage`."""

    def __init__(self, session: Session, names: SnowflakeSettings) -> None:
        self.session = session
        self.place = StagePath.of_settings(names, f"models/{quote(names.model, safe='')}/promotions")

    def read(self) -> History:
        """Raises SnowflakeError or StageError if the stage cannot be read. Damaged files are counted from 1."""
        found: dict[str, Promotion] = {}
        damaged = []
        for number, entry in enumerate(list_entries(self.session, self.place), 1):
            file = self.place.on_stage(entry.path)
            try:
                promotion = Promotion.model_validate_json(get_bytes(self.session, file))
            except ValidationError:
                damaged.append(number)  # told to whoever asks for the history
                continue
            if promotion.failed or promotion.id not in found:  # both files have its id, and come in any order
                found[promotion.id] = promotion
        return History.of(sorted(found.values(), key=lambda promotion: promotion.at), damaged)

    def append(self, promotion: Promotion) -> None:
        """One file more; raises SnowflakeError or StageError if it cannot be written."""
        name = f"{promotion.at:%Y%m%dT%H%M%S.%fZ}-{promotion.id}{'-failed' if promotion.failed else ''}.json"
        put_bytes(self.session, self.place / name, promotion.model_dump_json().encode())
