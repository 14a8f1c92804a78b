"""The models that ship with Copperline: an ONNX file each, with its card beside it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from copperline.errors import ModelError
from copperline.model_info import ModelInfo
from copperline.registry.card import ModelCard
from copperline.registry.store import file_sha256

BUILTIN = "builtin:"
DEFAULT_BUILTIN = "deeppcb"
SUFFIX = ".onnx"
CARD_SUFFIX = ".card.json"
# A package that everybody installs stays small, and its models fast on a CPU.
MAX_BYTES = 2_500_000
MAX_PARAMETERS = 500_000


@dataclass(frozen=True, slots=True)
class BuiltinModel:
    """A shipped model.

    Attributes:
        name: without `builtin:`.
        path: the ONNX file.
        sha256: of the file.
        card: what it is, what it was trained on and what it reached.
    """

    name: str
    path: Path
    sha256: str
    card: ModelCard


def builtin_models() -> tuple[str, ...]:
    """The names of the models shipped with Copperline, sorted."""
    return tuple(sorted(path.stem for path in builtin_folder().glob(f"*{SUFFIX}")))


def builtin_folder() -> Path:
    """Where the shipped models lie: the package `copperline.models`."""
    return Path(str(resources.files("copperline.models")))


def builtin_model(name: str) -> BuiltinModel:
    """The shipped model `name` with its card.

    Raises:
        ModelError: no such model is shipped, its card is missing or damaged, or its file is not the one that the card
            describes.
    """
    have = builtin_models()
    if name not in have:
        raise ModelError(
            f"no model {name!r} is shipped with Copperline; shipped are: {', '.join(have) or 'none'}",
            fix="use one of these, `champion`, a version number or an .onnx file"
            if have
            else "use `champion`, a version number or an .onnx file, or train one with `copperline train`",
        )
    path = builtin_folder() / f"{name}{SUFFIX}"
    card = ModelCard.read(path.with_suffix(CARD_SUFFIX))
    sha256 = file_sha256(path)
    if sha256 != card.sha256:
        raise ModelError(
            f"the shipped model {name!r} is damaged: expected SHA-256 {card.sha256[:12] or 'in its card'}, "
            f"found {sha256[:12]}",
            where=path,
            fix="install Copperline again",
        )
    return BuiltinModel(name, path, sha256, card)


def disagreements(card: ModelCard, path: Path, info: ModelInfo) -> tuple[str, ...]:
    """What keeps a model from being shipped: where its card and its file differ, or a limit is exceeded.

    Args:
        card: of the model.
        path: its ONNX file.
        info: what the file says of itself.

    Returns:
        One sentence for each fault; empty for a model that may be shipped.
    """
    size = path.stat().st_size
    facts = (
        ("SHA-256", card.sha256, file_sha256(path)),
        ("classes", card.classes, tuple(c.name for c in info.classes)),
        ("parameters", card.parameters, info.parameters),
        ("network", card.network, info.network),
        ("operating point", card.operating_point, info.operating_point),
        ("data hash", card.data_hash, info.data_hash),
    )
    faults = [f"{what}: the card says {said}, the file {found}" for what, said, found in facts if said != found]
    if size > MAX_BYTES:
        faults.append(f"size: at most {MAX_BYTES:,} bytes, found {size:,}")
    if info.parameters > MAX_PARAMETERS:
        faults.append(f"parameters: at most {MAX_PARAMETERS:,}, found {info.parameters:,}")
    return tuple(faults)
