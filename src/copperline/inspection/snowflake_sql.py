"""How the model is called in Snowflake's SQL: as text, with the names of the settings."""

from __future__ import annotations

import re

from copperline.errors import SettingsError
from copperline.labeled_board import TABLE
from copperline.snowflake_settings import SnowflakeSettings

_ALIAS = re.compile(r"[A-Za-z_]\w*", re.ASCII)
IMAGES = TABLE.upper()


def predict_sql(names: SnowflakeSettings, *, alias: str = "champion", table: str = IMAGES) -> str:
    """A row for each image of `table`, which has `filename`, `image_bytes` and `reference_bytes` (or NULL).

    Args:
        alias: of the version, or its name, such as V3.
        table: of the schema of `names`.

    Raises SettingsError if `alias` is no alias.
    """
    return f"""SELECT
  filename,
  {_model(names, alias)}!PREDICT(
    BASE64_ENCODE(image_bytes), BASE64_ENCODE(reference_bytes)
  ) AS found,
  found:call::STRING AS call,
  found:registration_score::DOUBLE AS registration_score,
  PARSE_JSON(found:detections::STRING) AS detections,
  found:error::STRING AS error
FROM {names.in_schema(table)};
"""  # noqa: S608 - every name is quoted, or an identifier that was checked


def detections_sql(names: SnowflakeSettings, *, alias: str = "champion", table: str = IMAGES) -> str:
    """A row for each detection in the images of `table`, and one for each image without any; as `predict_sql`."""
    return f"""SELECT found.*
FROM {names.in_schema(table)} AS images,
  TABLE(
    {_model(names, alias)}!DETECTIONS(
      images.filename, BASE64_ENCODE(images.image_bytes), BASE64_ENCODE(images.reference_bytes)
    ) OVER (PARTITION BY images.filename)
  ) AS found
ORDER BY found.board_id, found.confidence_score DESC;
"""  # noqa: S608


def _model(names: SnowflakeSettings, alias: str) -> str:
    # Not in quotes, which Snowflake does not take there: so it must be a name that needs none.
    if not _ALIAS.fullmatch(alias):
        raise SettingsError(
            f"expected an alias or version of letters, digits and _, found {alias!r}", fix="write champion, or V3"
        )
    return f"MODEL({names.in_schema(names.model)}, {alias.upper()})"
