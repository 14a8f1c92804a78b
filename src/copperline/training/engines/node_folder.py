"""A folder of this user alone on a node, for the images of a run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from copperline.errors import ClusterError, DataError


def private_folder() -> Path:
    """Below the folder of temporary files.

    Raises:
        DataError: it cannot be made.
        ClusterError: it is there and others may write to it.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    base = Path(tempfile.gettempdir()) / f"copperline-{user}"
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        status = base.lstat()
    except OSError as error:
        raise DataError(
            f"the folder for images cannot be made ({error.strerror})",
            where=base,
            fix="let TMPDIR of the node name a folder that can be written",
        ) from error
    if hasattr(os, "getuid") and (status.st_uid != user or status.st_mode & 0o077 or not base.is_dir()):
        raise ClusterError(
            "expected a folder of this user alone for images, found one that others may write",
            where=base,
            fix="remove it, or let TMPDIR of the node name another folder",
        )
    return base
