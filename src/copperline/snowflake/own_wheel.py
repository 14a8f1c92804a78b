"""Copperline as it is installed here, as a wheel: what is sent to a notebook or job in Snowflake.

It is put together from the installed files, since a laptop that installed Copperline has no source tree to build from.
The format is that of PEP 427.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from copperline.errors import SettingsError
from copperline.files import atomic_file

_WHEEL = "Wheel-Version: 1.0\nGenerator: copperline\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_DATE = (2020, 1, 1, 0, 0, 0)  # the same files make the same wheel


def write_wheel(folder: Path) -> Path:
    """Writes `copperline-VERSION-py3-none-any.whl` into `folder`.

    Raises:
        SettingsError: Copperline runs from files that were never installed.
        DataError: the folder cannot be written.
    """
    try:
        installed = distribution("copperline")
    except PackageNotFoundError as error:
        raise SettingsError(
            "expected an installed Copperline, found its files alone", fix="pip install copperline, or pip install -e ."
        ) from error
    about = f"copperline-{installed.version}.dist-info"
    contents = {
        f"{about}/METADATA": (installed.read_text("METADATA") or "").encode(),
        f"{about}/WHEEL": _WHEEL.encode(),
        f"{about}/entry_points.txt": (installed.read_text("entry_points.txt") or "").encode(),
    }
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            contents[f"copperline/{path.relative_to(package).as_posix()}"] = path.read_bytes()
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in contents.items())
    contents[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    target = folder / f"copperline-{installed.version}-py3-none-any.whl"
    with atomic_file(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            wheel.writestr(entry, content)
    return target


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
