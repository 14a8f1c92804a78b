"""Reading and writing board images. Everything that is not a usable board image is refused with its reason."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, PpmImagePlugin, TiffImagePlugin

from copperline.data.pairs import BoardPair
from copperline.errors import DamagedImageError, DataError
from copperline.files import atomic_file

Image = npt.NDArray[np.uint8]

MIN_SIDE = 32
# A whole-board scan of 16,000 px fits. A file that decodes to more than 268 million pixels is no board, however small.
MAX_SIDE = 16_384
# Grey levels between the darkest and the brightest pixel. A covered lens gives fewer, a board never does.
MIN_CONTRAST = 8

# First bytes -> the Pillow class that reads this format's header. `PIL.Image.open` would do the same, but refuses
# everything above 179 megapixels, and a whole-panel scan has 268.
_FORMATS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"II*\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", TiffImagePlugin.TiffImageFile),
    (b"P5", PpmImagePlugin.PpmImageFile),
    (b"P6", PpmImagePlugin.PpmImageFile),
)
_FORMAT_NAMES = "JPEG, PNG, BMP, TIFF, PGM or PPM"
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".pgm", ".ppm"})


def read_image(path: str | os.PathLike[str], *, bare_ok: bool = False) -> Image:
    """Reads an image as it is stored.

    Args:
        path: a JPEG, PNG, BMP, TIFF, PGM or PPM file, 32 to 16,384 pixels a side.
        bare_ok: accept an image without contrast. A reference may be one: a tile of a bare part of the board, of
            which DeepPCB has three. A test image may not: that is a camera that sees no board.

    Returns:
        H x W uint8 if one channel is stored, else H x W x 3 uint8 BGR. 16-bit values are scaled to 8 bits, an
        alpha channel is dropped, an orientation tag is ignored: labels are in stored pixels.

    Raises:
        DataError: missing, unreadable, empty, no image, truncated, too small, too large, or without contrast.
            The size is read from the header, so a file that is too large is refused before any memory is spent.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            _check_size(stream, path)
            data = stream.read()
    except FileNotFoundError as error:
        raise DataError("expected an image, found no file", where=path, fix="check the path") from error
    except OSError as error:
        raise DataError(
            f"the image cannot be read ({error.strerror or error})", where=path, fix="check the path and permissions"
        ) from error
    return _decode(data, path, bare_ok)


def decode_image(
    data: bytes,
    where: str | os.PathLike[str],
    *,
    bare_ok: bool = False,
    max_pixels: int | None = None,
    grey: bool = False,
) -> Image:
    """As `read_image`, from the bytes of an image file; `where` names them in errors.

    Args:
        max_pixels: an image with more is refused, by its header, before any memory is spent; None: no limit but the
            side's.
        grey: the decoder gives H x W whatever is stored, without the memory for colours first. Grey levels may differ
            by a few from those of `to_grey`, since each decoder weighs colours by itself.
    """
    _check_size(io.BytesIO(data), where, max_pixels)
    return _decode(data, where, bare_ok, grey)


def image_size(stream: IO[bytes], where: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height by the header of an image file, which is left at its start; raises DataError as `read_image`."""
    return _check_size(stream, where)


def read_grey(path: str | os.PathLike[str], *, bare_ok: bool = False) -> Image:
    """As `read_image`, always H x W uint8 grey."""
    return to_grey(read_image(path, bare_ok=bare_ok))


def is_bare(image: Image) -> bool:
    """Whether the darkest and the brightest value are closer than a board's copper and background can be."""
    return int(image.max()) - int(image.min()) < MIN_CONTRAST


def to_grey(image: Image) -> Image:
    """H x W uint8 from H x W or H x W x 3 BGR (luma weights of ITU-R BT.601); a grey image is given back as it is."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def read_pair(pair: BoardPair) -> tuple[Image, Image | None]:
    """Test image and reference of one board, each H x W uint8 grey; the reference is None if the pair has none.

    Raises DataError if an image cannot be used or the two sizes differ.
    """
    test = read_grey(pair.test_path)
    if pair.reference_path is None:
        return test, None
    reference = read_grey(pair.reference_path, bare_ok=True)
    require_same_size(test, reference, pair.reference_path)
    return test, reference


def require_same_size(test: Image, reference: Image, where: str | os.PathLike[str]) -> None:
    """Raises DataError naming `where`, the reference, if it has not the test image's height and width."""
    if test.shape[:2] != reference.shape[:2]:
        raise DataError(
            f"expected a reference of the test image's size {_size_text(test)}, found {_size_text(reference)}",
            where=where,
            fix="export both from the same crop",
        )


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Writes H x W grey or H x W x 3 BGR uint8 atomically, in the format of the suffix (JPEG at quality 95).

    Raises DataError if the suffix is of no image format or the place cannot be written.
    """
    path = Path(path)
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"expected H x W or H x W x 3 uint8, found {image.shape} {image.dtype}")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(
            f"expected an image suffix ({', '.join(sorted(IMAGE_SUFFIXES))}), found {path.suffix!r}",
            where=path,
            fix="choose another file name",
        )
    with atomic_file(path) as temporary:
        temporary.write_bytes(encode_image(image, path.suffix.lower()))


def encode_image(image: Image, suffix: str) -> bytes:
    """The file's bytes of an H x W grey or H x W x 3 BGR uint8 image: `.png`, `.jpg` (quality 95), ..."""
    encoded: bytes = cv2.imencode(suffix, image)[1].tobytes()
    return encoded


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes; raises DataError if it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=path, fix="check the path") from error


def _check_size(stream: IO[bytes], where: str | os.PathLike[str], max_pixels: int | None = None) -> tuple[int, int]:
    """Width and height by the header, which leaves the stream at its start."""
    width, height = _header_size(stream, where)
    if min(width, height) < MIN_SIDE:
        raise DataError(
            f"expected at least {MIN_SIDE} pixels a side, found {width} x {height}",
            where=where,
            fix="export the board at a higher resolution",
        )
    if max(width, height) > MAX_SIDE:
        raise DataError(
            f"expected at most {MAX_SIDE:,} pixels a side, found {width:,} x {height:,}",
            where=where,
            fix="export the board in smaller tiles and inspect those",
        )
    if max_pixels is not None and width * height > max_pixels:
        raise DataError(
            f"expected at most {max_pixels:,} pixels, found {width:,} x {height:,}",
            where=where,
            fix="send the board in smaller tiles, or raise the limit",
        )
    stream.seek(0)
    return width, height


def _header_size(stream: IO[bytes], where: str | os.PathLike[str]) -> tuple[int, int]:
    start = stream.read(8)
    if not start:
        raise DamagedImageError("expected an image, found an empty file (0 bytes)", where=where, fix="export it again")
    for magic, reader in _FORMATS:
        if start.startswith(magic):
            stream.seek(0)
            try:
                return reader(stream).size
            except (SyntaxError, ValueError, OSError, OverflowError, MemoryError) as error:
                raise _damaged(where) from error
    # A file that is being written may be only a few bytes yet, or zeros where room was made for it first.
    kind = DataError if len(start) == 8 and any(start) else DamagedImageError
    raise kind(
        f"expected an image ({_FORMAT_NAMES}), found a file that is none of these",
        where=where,
        fix="export the board as PNG",
    )


def _decode(data: bytes, where: str | os.PathLike[str], bare_ok: bool, grey: bool = False) -> Image:
    if _is_cut_off(data):
        raise _damaged(where)
    # OpenCV would also print what is raised here; errors are said once.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    channels = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_ANYCOLOR
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), channels | cv2.IMREAD_IGNORE_ORIENTATION)
    except MemoryError as error:
        raise out_of_memory(where) from error
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise out_of_memory(where) from error
        raise _damaged(where) from error
    if decoded is None:
        raise _damaged(where)
    image = np.asarray(decoded, dtype=np.uint8)
    if not bare_ok and is_bare(image):
        raise DataError(
            f"is no board: every pixel is about {int(image.min())} of 255, without any contrast",
            where=where,
            fix="check the camera, its light and its cover",
        )
    return image


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end. Some decoders fill the missing part with grey, which looks like a board.

    Inside a JPEG's scan 0xFF is always followed by 0x00 or a restart marker, so after the last start of scan
    (FFDA) an end of image (FFD9) is one (ITU-T T.81, B.1.1.5).
    """
    if data.startswith(b"\xff\xd8"):
        return data.find(b"\xff\xd9", max(data.rfind(b"\xff\xda"), 0)) < 0
    if data.startswith(b"\x89PNG"):
        return data.rfind(b"IEND") < 0
    return False


def _damaged(where: str | os.PathLike[str]) -> DamagedImageError:
    return DamagedImageError(
        "expected a whole image, found a truncated or damaged one", where=where, fix="export it again"
    )


def out_of_memory(where: str | os.PathLike[str]) -> DataError:
    return DataError(
        "there is not enough memory to decode the image",
        where=where,
        fix="end other programs, or export the board in smaller tiles",
    )


def _size_text(image: Image) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
