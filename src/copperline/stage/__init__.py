"""The stage: where images are kept. The line's own, each once by its hash; and folders and URLs that boards lie in."""

from copperline.stage.files import StageFile, list_files, read_bytes, require_readable
from copperline.stage.location import Location, is_url, location_of, name_of
from copperline.stage.store import Stage, StoredImage

__all__ = [
    "Location",
    "Stage",
    "StageFile",
    "StoredImage",
    "is_url",
    "list_files",
    "location_of",
    "name_of",
    "read_bytes",
    "require_readable",
]
