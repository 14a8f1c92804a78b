"""Files that belong together, named by their content: what is on the stage under that name is never another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

Kind = Literal["app", "notebook"]
_DIGITS = 12


@dataclass(frozen=True)
class Release:
    """A folder's files.

    Attributes:
        kind: what it is of, and the folder on the stage that its own folder is in.
        files: path in the folder, with slashes -> bytes.
    """

    kind: Kind
    files: Mapping[str, bytes]

    @cached_property
    def sha256(self) -> dict[str, str]:
        """Path -> SHA-256 of the file, hexadecimal, sorted by path."""
        return {path: hashlib.sha256(self.files[path]).hexdigest() for path in sorted(self.files)}

    @cached_property
    def name(self) -> str:
        """Follows from all paths and contents."""
        return hashlib.sha256(json.dumps(self.sha256).encode()).hexdigest()[:_DIGITS]

    @property
    def folder(self) -> str:
        """On the stage, without a slash at either end."""
        return f"{self.kind}/{self.name}"

    @property
    def nbytes(self) -> int:
        """Of all files together."""
        return sum(map(len, self.files.values()))

    def write(self, folder: Path) -> None:
        """Writes the files below `folder`, which is made; raises OSError."""
        for path, data in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
