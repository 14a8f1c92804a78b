from __future__ import annotations

import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from copperline.data import memory, scans
from copperline.data.images import encode_image
from copperline.data.memory import available_memory
from copperline.data.scans import SCAN_PIXELS, decode_grey
from copperline.data.synthetic import draw_whole_board
from copperline.errors import DamagedImageError, DataError

SIDE = 4096


@pytest.fixture(scope="module")
def board() -> np.ndarray:
    return draw_whole_board(1, SIDE)[0]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".pgm"])
def test_a_grey_scan_is_decoded_as_it_is_stored(board: np.ndarray, suffix: str) -> None:
    assert board.size >= SCAN_PIXELS
    assert np.array_equal(decode_grey(encode_image(board, suffix), "scan"), board)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_scan_in_colour_is_grey_at_once(board: np.ndarray, suffix: str) -> None:
    colour = cv2.merge([board, np.full_like(board, 90), 255 - board])
    found = decode_grey(encode_image(colour, suffix), "scan")
    expected = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    assert found.shape == (SIDE, SIDE)
    tolerance = 3 if suffix != ".jpg" else 60  # JPEG mixes the colours of neighbours
    assert np.abs(found.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_scan_that_is_cut_off_is_refused(board: np.ndarray, suffix: str) -> None:
    data = encode_image(board, suffix)
    with pytest.raises(DamagedImageError, match="scan: expected a whole image"):
        decode_grey(data[: len(data) // 2], "scan")


def test_a_black_scan_is_no_board() -> None:
    black = encode_image(np.zeros((SIDE, SIDE), np.uint8), ".png")
    with pytest.raises(DataError, match="is no board: every pixel is about 0"):
        decode_grey(black, "scan")


def test_a_small_file_with_a_huge_image_is_refused_by_its_header() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 16_385, 16_385, 1, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    bomb += b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(DataError, match="at most 16,384 pixels a side, found 16,385 x 16,385"):
        decode_grey(bomb, "scan")


def test_a_scan_for_which_there_is_no_memory_is_refused_before_it_is_decoded(
    board: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode_image(board, ".png")
    monkeypatch.setattr(scans, "available_memory", lambda: 300 << 20)
    with pytest.raises(DataError, match=r"scan: expected 364 MiB of free memory .* found 300; end other programs"):
        decode_grey(data, "scan")
    monkeypatch.setattr(scans, "available_memory", lambda: None)
    assert decode_grey(data, "scan").shape == (SIDE, SIDE)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are those of Linux")
def test_a_decoder_that_gets_no_memory_is_no_damaged_file(tmp_path: Path, board: np.ndarray) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(encode_image(board, ".png"))
    program = """
        import resource, sys
        from pathlib import Path
        from copperline.data.scans import decode_grey
        from copperline.errors import DataError
        data = Path(sys.argv[1]).read_bytes()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (8 << 20), resource.RLIM_INFINITY))
        try:
            decode_grey(data, "scan")
        except DataError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "scan: there is not enough memory to decode the image; end other programs" in run.stdout


def test_memory_is_the_least_of_the_machine_and_the_container(tmp_path: Path) -> None:
    info = tmp_path / "meminfo"
    info.write_text("MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable:   2048 kB\n")
    assert memory._of_machine(info) == 2048 * 1024
    assert memory._of_machine(tmp_path / "none") is None

    own = tmp_path / "cgroup"
    own.write_text("0::/pod/box\n")
    folder = tmp_path / "pod" / "box"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text("1000\n")
    (folder / "memory.current").write_text("800\n")
    (folder / "memory.stat").write_text("anon 500\ninactive_file 250\n")
    assert memory._of_container(tmp_path, own) == 450
    (folder / "memory.max").write_text("max\n")
    assert memory._of_container(tmp_path, own) is None
    own.write_text("4:memory:/old\n")
    assert memory._of_container(tmp_path, own) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_this_machine_tells_how_much_memory_there_is() -> None:
    free = available_memory()
    assert free is not None
    assert 1 << 20 < free < 1 << 50
