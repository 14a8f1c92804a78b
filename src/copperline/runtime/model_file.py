"""Opening a model file: whatever is not an ONNX model that can be run here is refused by name."""

from __future__ import annotations

import os
from pathlib import Path

from copperline.errors import ModelError
from copperline.settings import available_cores

# From 1.29 on ONNX Runtime tells Microsoft of every model that is loaded, its name and hashes included, unless this is
# set before its library is loaded. Copperline calls nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    # They have no common base, and which there are depends on the version of ONNX Runtime.
    kind
    for kind in vars(ort_state).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
)
# What a damaged file raises: its names, shapes and metadata are decoded when they are looked at.
UNREADABLE: tuple[type[Exception], ...] = (*ORT_ERRORS, UnicodeDecodeError)
_HEAD = 64  # bytes, enough to tell what a file is


def open_session(path: Path, threads: int) -> tuple[ort.InferenceSession, dict[str, str]]:
    """The ONNX file in ONNX Runtime on the CPU, and the file's own metadata.

    Args:
        path: the file.
        threads: CPU threads for one image; 0 means all cores.

    Raises:
        ModelError: the file is missing, cannot be read, or is no complete ONNX model.
    """
    _refuse_foreign(path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.inter_op_num_threads = 1
    # Threads that wait for the next image by spinning take the cores from those that read and decode it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Errors are raised; warnings of the optimiser mean nothing to the user.
    options.log_severity_level = 4
    try:
        # Without `enable_fallback=0` it prints to stdout and tries a damaged file a second time.
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
        for port in (*session.get_inputs(), *session.get_outputs()):
            _ = port.name, port.shape
        return session, dict(session.get_modelmeta().custom_metadata_map)
    except UNREADABLE as error:
        raise ModelError(
            f"expected an ONNX model, found a damaged or foreign file ({first_line(error)})",
            where=path,
            fix="export or download it again",
        ) from error


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _refuse_foreign(path: Path) -> None:
    """What a person takes for a model by mistake gets its own name; ONNX Runtime judges the rest."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise ModelError("expected an ONNX model, found no file", where=path, fix="check the path") from error
    except IsADirectoryError as error:
        raise ModelError(
            "expected an ONNX model, found a folder", where=path, fix="name the .onnx file in it"
        ) from error
    except OSError as error:
        raise ModelError(
            f"the model file cannot be read ({error.strerror})", where=path, fix="check the path and its permissions"
        ) from error
    found, fix = _foreign(head)
    if found:
        raise ModelError(f"expected an ONNX model, found {found}", where=path, fix=fix)


def _foreign(head: bytes) -> tuple[str, str]:
    """What a file that begins with `head` is instead of ONNX, and what to do; empty texts if it may be ONNX.

    >>> _foreign(b"version https://git-lfs.github.com/spec/v1")[0], _foreign(b"PK\\x03\\x04...")[0]
    ('a Git LFS pointer, not the file itself', 'a ZIP archive, such as a PyTorch checkpoint')
    >>> _foreign(b"Not Found")[0], _foreign(b"\\x08\\x08\\x12\\x07pytorch")[0]
    ('a text file', '')
    """
    if not head:
        return "an empty file", "export or download it again"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself", "fetch the file with `git lfs pull`"
    if head.startswith(b"PK\x03\x04"):
        return (
            "a ZIP archive, such as a PyTorch checkpoint",
            "give the model.onnx of the training run, or export one with `copperline models export`",
        )
    # An ONNX file begins with a byte below 32 that is no white space: the tag of a field with a small number.
    if all(byte >= 32 or byte in b"\t\n\r" for byte in head):
        return "a text file", "export or download it again"
    return "", ""
