"""The wheel of the Copperline that runs here, from its installed files: no build tool, no network.

The same files give the same bytes, so that what is on a stage already is known again.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from copperline.errors import DataError, SettingsError
from copperline.files import read_whole

_DISTRIBUTION = "copperline"
_TAG = "py3-none-any"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say
_KIND = f"Wheel-Version: 1.0\nGenerator: copperline\nRoot-Is-Purelib: true\nTag: {_TAG}\n"


@dataclass(frozen=True, slots=True)
class Wheel:
    """Attributes:
    name: of the file, such as `copperline-0.1.0-py3-none-any.whl`.
    data: its bytes.
    """

    name: str
    data: bytes


def own_wheel(extras: Iterable[str] = ()) -> Wheel:
    """The wheel of what runs here, checked.

    Args:
        extras: that it must offer.

    Raises:
        SettingsError: Copperline runs from sources that were never installed, or that changed since.
        DataError: a file cannot be read.
    """
    try:
        found = metadata.distribution(_DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise SettingsError(
            "expected an installed Copperline, found its sources alone", fix="pip install --editable '.[snowflake]'"
        ) from error
    offered = set(found.metadata.get_all("Provides-Extra") or ())
    missing = sorted(set(extras) - offered)
    if missing:
        raise SettingsError(
            f"expected an installed Copperline with the extras {', '.join(sorted(extras))}, found none of the name "
            f"{', '.join(missing)}",
            fix="install it anew: its sources are newer than what is installed",
        )
    wheel = Wheel(f"{canonicalize_name(_DISTRIBUTION)}-{found.version}-{_TAG}.whl", _packed(found))
    check_wheel(wheel)
    return wheel


def check_wheel(wheel: Wheel) -> None:
    """Raises DataError unless every file in it is what the wheel's own record says, and none is missing."""
    try:
        parse_wheel_filename(wheel.name)
        with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
            names = archive.namelist()
            records = [name for name in names if name.endswith(".dist-info/RECORD")]
            lines = archive.read(records[0]).decode().splitlines() if len(records) == 1 else []
            said = dict(line.rsplit(",", 2)[:2] for line in lines)
            right = sorted(said) == sorted(names) and all(
                said[name] == _hash(archive.read(name)) for name in names if name not in records
            )
    except (InvalidWheelFilename, zipfile.BadZipFile, ValueError, EOFError) as error:
        raise _damaged(wheel, str(error)) from error
    if not right:
        raise _damaged(wheel, "its files are not those of its record")


def _packed(found: metadata.Distribution) -> bytes:
    """Bytes of the zip file: the package, then what is known of the distribution, its record last."""
    folder = f"{_DISTRIBUTION}-{found.version}.dist-info"
    texts = {f"{folder}/METADATA": found.read_text("METADATA"), f"{folder}/WHEEL": _KIND}
    texts[f"{folder}/entry_points.txt"] = found.read_text("entry_points.txt")
    texts[f"{folder}/licenses/LICENSE"] = found.read_text("licenses/LICENSE")
    files = {**_package_files(), **{name: text.encode() for name, text in texts.items() if text}}
    record = "".join(f"{name},{_hash(data)},{len(data)}\n" for name, data in files.items())
    files[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return packed.getvalue()


def _package_files() -> dict[str, bytes]:
    """Name in the wheel -> bytes of every file of the package, without what Python compiled."""
    root = Path(__file__).parents[1]
    paths = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root.parent).as_posix(): read_whole(path) for path in paths if path.suffix != ".pyc"}


def _hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _damaged(wheel: Wheel, why: str) -> DataError:
    return DataError(f"expected a whole wheel, found a damaged one ({why})", where=wheel.name, fix="make it again")
