from __future__ import annotations

import hashlib
import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.images import (
    decode_image,
    is_bare,
    read_grey,
    read_image,
    read_pair,
    sha256_of,
    to_grey,
    write_image,
)
from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.errors import DamagedImageError, DataError

GREY = np.random.default_rng(1).integers(0, 256, (40, 48), dtype=np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 256, (40, 48, 3), dtype=np.uint8)
LOSSLESS = [".png", ".bmp", ".tif"]


def encoded(image: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def png_header(width: int, height: int) -> bytes:
    """A PNG that states a size and has no pixels."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + b"\0\0\1\0IDAT"


@pytest.mark.parametrize("suffix", [*LOSSLESS, ".pgm"])
def test_grey_comes_back_grey(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", GREY)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.dtype == np.uint8
    assert np.array_equal(image, GREY)


@pytest.mark.parametrize("suffix", [*LOSSLESS, ".ppm"])
def test_colour_comes_back_as_bgr(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", COLOUR)
    assert np.array_equal(read_image(tmp_path / f"a{suffix}"), COLOUR)
    assert read_grey(tmp_path / f"a{suffix}").shape == (40, 48)


def test_sixteen_bits_and_alpha_become_eight_bits_without_alpha() -> None:
    deep = GREY.astype(np.uint16) * 256
    assert np.array_equal(decode_image(encoded(deep, ".png"), "deep"), GREY)
    transparent = np.dstack([COLOUR, np.full((40, 48), 7, np.uint8)])
    assert np.array_equal(decode_image(encoded(transparent, ".png"), "alpha"), COLOUR)


def test_to_grey_weighs_the_colours_and_leaves_grey_alone() -> None:
    green = np.zeros((2, 2, 3), np.uint8)
    green[..., 1] = 255
    assert to_grey(green).tolist() == [[150, 150], [150, 150]]
    assert to_grey(GREY) is GREY


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lost\.png: expected an image, found no file"):
        read_image(tmp_path / "lost.png")
    with pytest.raises(DataError, match=f"{tmp_path.name}: the image cannot be read"):
        read_image(tmp_path)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"a\.png: expected an image, found an empty file \(0 bytes\)"):
        read_image(tmp_path / "a.png")


def test_text_is_no_image() -> None:
    with pytest.raises(DataError, match=r"a\.png: expected an image \(JPEG, PNG.*none of these"):
        decode_image(b"not an image at all", "a.png")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".pgm"])
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.97])
def test_a_truncated_image_is_refused_in_silence(suffix: str, kept: float, capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(GREY, suffix)
    with pytest.raises(DataError, match="truncated or damaged"):
        decode_image(data[: int(len(data) * kept)], "a")
    assert capfd.readouterr().err == ""


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    assert decode_image(encoded(GREY, ".jpg") + b"\0" * 50, "a").shape == (40, 48)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from([".jpg", ".png", ".bmp", ".tif", ".pgm"]), st.integers(0, 1900), st.integers(0, 255))
def test_damaged_bytes_give_an_image_or_a_data_error(suffix: str, position: int, value: int) -> None:
    data = bytearray(encoded(GREY, suffix))
    data[position % len(data)] = value
    try:
        image = decode_image(bytes(data), "a")
    except DataError as error:
        assert str(error).startswith("a: ")
    else:
        assert image.dtype == np.uint8


@pytest.mark.parametrize("shape", [(31, 40), (40, 31)])
def test_less_than_32_pixels_a_side_is_too_small(shape: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=f"at least 32 pixels a side, found {shape[1]} x {shape[0]}"):
        decode_image(encoded(GREY[:1].repeat(40, 0)[: shape[0], : shape[1]], ".png"), "a")


def test_too_large_is_refused_by_the_header_alone(tmp_path: Path) -> None:
    (tmp_path / "panel.png").write_bytes(png_header(20_000, 18_000) + b"\0" * 1000)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"at most 16,384 pixels a side, found 20,000 x 18,000; .*smaller tiles"):
        read_image(tmp_path / "panel.png")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_the_largest_allowed_size_passes_the_header_check() -> None:
    with pytest.raises(DataError, match="truncated or damaged"):  # and not too large: the pixels are missing
        decode_image(png_header(16_384, 16_384), "a")
    with pytest.raises(DataError, match="at most"):
        decode_image(png_header(16_385, 16_384), "a")


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_image_without_contrast_is_no_board_unless_it_is_a_reference(value: int) -> None:
    covered = np.full((40, 40), value, np.uint8)
    data = encoded(covered, ".png")
    with pytest.raises(DataError, match=f"a: is no board: every pixel is about {value} of 255"):
        decode_image(data, "a")
    assert is_bare(decode_image(data, "a", bare_ok=True))
    assert not is_bare(GREY)


def pair_of(test: Path, reference: Path | None) -> BoardPair:
    return BoardPair("a", "g", "test", test, reference, Detections.empty(), 48, 40)


def test_read_pair_gives_grey_arrays(tmp_path: Path) -> None:
    write_image(tmp_path / "t.png", COLOUR)
    write_image(tmp_path / "r.png", GREY)
    test, reference = read_pair(pair_of(tmp_path / "t.png", tmp_path / "r.png"))
    assert np.array_equal(test, to_grey(COLOUR))
    assert reference is not None
    assert np.array_equal(reference, GREY)
    assert read_pair(pair_of(tmp_path / "t.png", None))[1] is None


def test_read_pair_accepts_a_bare_reference_and_refuses_another_size(tmp_path: Path) -> None:
    write_image(tmp_path / "t.png", GREY)
    write_image(tmp_path / "bare.png", np.full_like(GREY, 255))
    write_image(tmp_path / "other.png", GREY[:36])
    reference = read_pair(pair_of(tmp_path / "t.png", tmp_path / "bare.png"))[1]
    assert reference is not None
    assert reference.min() == 255
    with pytest.raises(
        DataError, match=r"other\.png: expected a reference of the test image's size 48 x 40, found 48 x 36"
    ):
        read_pair(pair_of(tmp_path / "t.png", tmp_path / "other.png"))


def test_write_image_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected an image suffix"):
        write_image(tmp_path / "a.txt", GREY)
    with pytest.raises(ValueError, match="uint8"):
        write_image(tmp_path / "a.png", GREY.astype(np.float32))  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", GREY)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"board")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"board").hexdigest()
    with pytest.raises(DataError, match="lost"):
        sha256_of(tmp_path / "lost")


def test_orientation_tags_are_ignored() -> None:
    from PIL import Image

    buffer = io.BytesIO()
    tagged = Image.fromarray(GREY)
    exif = tagged.getexif()
    exif[0x0112] = 6
    tagged.save(buffer, "JPEG", exif=exif)
    assert decode_image(buffer.getvalue(), "a").shape == (40, 48)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_every_beginning_of_an_image_file_is_an_image_that_is_not_whole(suffix: str) -> None:
    """As it lies there while it is written; what is no image at all stays so."""
    board = np.random.default_rng(3).integers(0, 256, (64, 64), dtype=np.uint8)
    data = cv2.imencode(suffix, board)[1].tobytes()
    for length in [*range(40), *range(40, len(data) - 12, 211)]:
        for found in (data[:length], bytes(length)):
            with pytest.raises(DamagedImageError):
                decode_image(found, "board")
    with pytest.raises(DataError) as caught:
        decode_image(b"this is no image", "board")
    assert not isinstance(caught.value, DamagedImageError)
