"""From the name that a user gives to a model file: a path, a shipped model, a version or an alias."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from copperline.errors import ModelError
from copperline.registry.store import Registry, ResolvedModel, file_sha256
from copperline.settings import Settings

BUILTIN = "builtin:"
SUFFIX = ".onnx"


def resolve_model(settings: Settings, name: str) -> ResolvedModel:
    """The model file that `name` means.

    Args:
        settings: says where the registry is.
        name: a path that ends in `.onnx`; `builtin:NAME`, a model shipped with Copperline; or a version number or
            an alias of the registered model. Only the last opens the registry.

    Returns:
        The file; for a path or a shipped model the version is the first 12 hexadecimal digits of its SHA-256.

    Raises:
        ModelError: there is no such model; the message lists those there are.
    """
    if name.startswith(BUILTIN):
        return _from_file(_builtin(name.removeprefix(BUILTIN)))
    if name.lower().endswith(SUFFIX):
        return _from_file(Path(name))
    return Registry(settings).resolve(name)


def builtin_models() -> tuple[str, ...]:
    """The names of the models shipped with Copperline, sorted."""
    return tuple(sorted(path.stem for path in _builtin_folder().glob(f"*{SUFFIX}")))


def _builtin_folder() -> Path:
    return Path(str(resources.files("copperline.models")))


def _builtin(name: str) -> Path:
    have = builtin_models()
    if name not in have:
        raise ModelError(
            f"no model {name!r} is shipped with Copperline; shipped are: {', '.join(have) or 'none'}",
            fix="use one of these, `champion`, a version number or an .onnx file"
            if have
            else "use `champion`, a version number or an .onnx file, or train one with `copperline train`",
        )
    return _builtin_folder() / f"{name}{SUFFIX}"


def _from_file(path: Path) -> ResolvedModel:
    return ResolvedModel(path, path.stem, file_sha256(path)[:12])
