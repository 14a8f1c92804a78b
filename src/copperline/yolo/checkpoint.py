"""Imports public YOLO12-n checkpoints: reads their tensors without running any code from the file.

Such a checkpoint is a ZIP archive that holds a pickle of a whole network object. Unpickling would import and call
whatever the file names; here every global that the pickle names becomes an inert placeholder, except for the few
that build tensors from the archive's own bytes.
"""

from __future__ import annotations

import collections
import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from copperline.errors import ModelError
from copperline.yolo.network import Yolo12N

STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
}


class _Inert:
    """Stands for an object of a class that is not imported: keeps its state, does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}

    def __setitem__(self, key: object, value: object) -> None:
        """Placeholders may be filled like a mapping or a list by the pickle; the content is not needed."""

    def append(self, value: object) -> None:
        """See `__setitem__`."""

    def extend(self, values: object) -> None:
        """See `__setitem__`."""


def _rebuild_tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _rebuild_parameter(data: Tensor, *_: object) -> Tensor:
    return data


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles tensors, containers and placeholders; never imports a module."""

    ALLOWED: dict[tuple[str, str], Any] = {  # noqa: RUF012 - a constant
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("builtins", "set"): set,
        ("__builtin__", "set"): set,
    }

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self.ALLOWED:
            return self.ALLOWED[module, name]
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        return _Inert

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        data = self.archive.read(f"{self.root}/data/{key}")
        tensor = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
        if tensor.numel() < count:
            raise ModelError(
                f"storage {key} holds {tensor.numel()} values, expected {count}", where=self.archive.filename
            )
        return tensor


def read_checkpoint_tensors(path: Path) -> dict[str, Tensor]:
    """All parameters and buffers of the network pickled in `path`, by dotted name, as float32 where floating.

    Raises:
        ModelError: the file is missing, is not such an archive, or holds no network.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = next((n.split("/")[0] for n in archive.namelist() if n.endswith("/data.pkl")), None)
            if root is None:
                raise ModelError("expected a PyTorch checkpoint, found another archive", where=path)
            content = _TensorUnpickler(archive, root).load()
    except FileNotFoundError as error:
        raise ModelError("no such checkpoint", where=path, fix="check the path") from error
    except (zipfile.BadZipFile, pickle.UnpicklingError, KeyError, EOFError, OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"the checkpoint cannot be read ({type(error).__name__}: {error})", where=path, fix="download it again"
        ) from error
    network = None
    if isinstance(content, dict):
        network = content.get("ema") or content.get("model")
    if not isinstance(network, _Inert):
        raise ModelError("expected a checkpoint with a pickled network under 'model'", where=path)
    return dict(_tensors_of(network, ""))


def _tensors_of(module: _Inert, prefix: str) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = []
    for kind in ("_parameters", "_buffers"):
        for name, tensor in (module.state.get(kind) or {}).items():
            if isinstance(tensor, Tensor):
                found.append((prefix + name, tensor.float() if tensor.is_floating_point() else tensor))
    for name, child in (module.state.get("_modules") or {}).items():
        if isinstance(child, _Inert):
            found.extend(_tensors_of(child, f"{prefix}{name}."))
    return found


# The public checkpoint numbers its layers in the order of the paper's configuration; these are ours.
LAYERS = {
    0: "stem.0",
    1: "stem.1",
    2: "stem.2",
    3: "down8",
    4: "stage8",
    5: "down16",
    6: "stage16",
    7: "down32",
    8: "stage32",
    11: "merge16",
    14: "merge8",
    15: "neck_down16",
    17: "neck16",
    18: "neck_down32",
    20: "neck32",
    21: "head",
}
CSP_LAYERS = frozenset({11, 14, 17, 20})

# Names inside a layer, in order of application; the patterns see dotted names with a leading and trailing dot.
_RENAMES = (
    (r"^\.head\.cv2\.", ".head.box_branches."),
    (r"^\.head\.cv3\.", ".head.class_branches."),
    (r"\.bn\.", ".norm."),
    (r"\.attn\.qkv\.", ".attention.qkv."),
    (r"\.attn\.proj\.", ".attention.project."),
    (r"\.attn\.pe\.", ".attention.position."),
)
_STAGE_RENAMES = ((r"^\.cv1\.", ".enter."), (r"^\.cv2\.", ".fuse."), (r"^\.m\.", ".blocks."))
_BOTTLENECK_RENAMES = ((r"\.cv1\.", ".first."), (r"\.cv2\.", ".second."))
_CSP_RENAMES = ((r"^\.cv1\.", ".through."), (r"^\.cv2\.", ".past."), (r"^\.cv3\.", ".fuse."), (r"^\.m\.", ".blocks."))


def _rename(text: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text


def _our_name(name: str) -> str | None:
    """Our name of the public tensor `name`, or None for one that carries no weight."""
    match = re.fullmatch(r"model\.(\d+)\.(.+)", name)
    if match is None or int(match[1]) not in LAYERS or ".dfl." in name:
        return None
    layer, inner = int(match[1]), f".{match[2]}."
    if LAYERS[layer] == "head":
        return _rename(f".head{inner}", _RENAMES).strip(".")
    block = re.match(r"\.m\.(\d+)(\..*)", inner)
    if block is None:
        inner = _rename(inner, _STAGE_RENAMES)
    elif layer in CSP_LAYERS:
        inside = block[2]
        bottleneck = re.match(r"\.m\.(\d+)(\..*)", inside)
        inside = (
            f".blocks.{bottleneck[1]}{_rename(bottleneck[2], _BOTTLENECK_RENAMES)}"
            if bottleneck
            else _rename(inside, _CSP_RENAMES)
        )
        inner = f".blocks.{block[1]}{inside}"
    else:
        inner = f".blocks.{block[1]}{_rename(block[2], _BOTTLENECK_RENAMES)}"
    return f"{LAYERS[layer]}{_rename(inner, _RENAMES)}".strip(".")


def import_yolo12n(path: Path) -> Yolo12N:
    """A Yolo12N in eval mode with the weights of the public checkpoint `path`.

    The number of classes is read from the file. Raises ModelError unless every tensor of our network is found there
    with its shape.
    """
    theirs = read_checkpoint_tensors(path)
    ours = {name: tensor for key, tensor in theirs.items() if (name := _our_name(key))}
    last_bias = ours.get("head.class_branches.0.2.bias")
    if last_bias is None:
        raise ModelError("expected a YOLO12-n checkpoint, found another network", where=path)
    network = Yolo12N(classes=len(last_bias))
    expected = network.state_dict()
    missing = sorted(set(expected) - set(ours))
    wrong = sorted(k for k in set(expected) & set(ours) if expected[k].shape != ours[k].shape)
    if missing or wrong:
        first = missing[0] if missing else wrong[0]
        raise ModelError(
            f"expected a YOLO12-n checkpoint, found another network ({len(missing)} tensors missing, {len(wrong)} of "
            f"another shape, first: {first})",
            where=path,
            fix="use the n size of YOLO12",
        )
    network.load_state_dict({name: ours[name] for name in expected})
    return network.eval()
