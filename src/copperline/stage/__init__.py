"""The stage: where images are kept. The line's own, each once by its hash; and folders, URLs and
places in Snowflake that boards lie in."""

from copperline.stage.files import StageFile, list_files, read_bytes, require_readable
from copperline.stage.location import Location, is_url, location_of, name_of
from copperline.stage.stage_path import StagePath
from copperline.stage.store import SnowflakeStage, Stage, StagedImage, StoredImage

__all__ = [
    "Location",
    "SnowflakeStage",
    "Stage",
    "StageFile",
    "StagePath",
    "StagedImage",
    "StoredImage",
    "is_url",
    "list_files",
    "location_of",
    "name_of",
    "read_bytes",
    "require_readable",
]
