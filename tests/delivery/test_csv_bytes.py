from __future__ import annotations

import csv
import io

import pytest

from copperline.delivery.table_files import csv_bytes


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_is_made_text(formula: str) -> None:
    [_, [cell]] = read(csv_bytes(["line"], [[formula]]))
    assert cell == f"'{formula}"


def test_numbers_stay_numbers_and_nothing_stays_empty() -> None:
    assert read(csv_bytes(["a", "b", "c"], [[-0.5, None, 12]]))[1] == ["-0.5", "", "12"]


def test_any_text_comes_back() -> None:
    texts = ['say "x", y', "two\nlines", "Löt-Straße 4", "a;b"]
    assert read(csv_bytes(texts, [texts])) == [texts, texts]


def test_a_spreadsheet_knows_the_encoding() -> None:
    assert csv_bytes(["x"], []) == b"\xef\xbb\xbfx\r\n"
