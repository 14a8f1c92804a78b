"""The model that Snowflake runs: here, and in a process of its own from the very files that would be sent there."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from copperline.data.images import Image, decode_image, encode_image
from copperline.inspection import Detector, inspect_arrays
from copperline.registry import ModelCard, builtin_model
from copperline.settings import Settings

pytest.importorskip("snowflake.ml.model", reason="Snowflake ML is not installed")


def encode_png(image: Image) -> bytes:
    return encode_image(image, ".png")


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def card() -> ModelCard:
    return builtin_model("deeppcb").card


@pytest.fixture
def files(tmp_path: Path, model_path: Path, card: ModelCard) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    shutil.copyfile(model_path, folder / "model.onnx")
    card.write(folder)
    return folder


@pytest.fixture
def model(files: Path) -> Any:
    from copperline.inspection.snowflake_package import package

    return package(files)["model"]


def frame(*rows: tuple[object, ...]) -> Any:
    import pandas as pd

    columns = ["board_id", "image", "reference"][-len(rows[0]) :]
    return pd.DataFrame(rows, columns=columns).astype(pd.StringDtype())  # as Snowflake's own code hands it over


def test_a_board_gets_the_call_and_the_detections_of_the_detector(
    model: Any, detector: Detector, bad: Image, golden: Image, other_golden: Image
) -> None:
    found = model.predict(
        frame(
            (text(encode_png(bad)), text(encode_png(golden))),
            (text(encode_png(golden)), text(encode_png(golden))),
            (text(encode_png(golden)), text(encode_png(other_golden))),
            (text(encode_png(golden)), None),
        )
    )
    verdicts = [
        inspect_arrays(detector, *images)
        for images in ((bad, golden), (golden, golden), (golden, other_golden), (golden, None))
    ]
    assert found["call"].tolist() == ["FAIL", "PASS", "WITHHELD", "PASS"] == [v.call.value for v in verdicts]
    assert found["registration_score"].tolist() == [v.registration_score for v in verdicts]
    assert json.loads(found["detections"][0]) == verdicts[0].detections.to_dicts(detector.taxonomy)
    assert found["detections"].tolist()[1:] == ["[]", None, "[]"]
    assert found["error"].tolist() == [None] * 4


BAD = ["", "no base64!", "aGVsbG8=", "====", "é"]


@pytest.mark.parametrize("image", [*BAD, None])
def test_an_image_that_cannot_be_inspected_is_told_in_its_row_and_ends_nothing(
    model: Any, golden: Image, image: str | None
) -> None:
    good = text(encode_png(golden))
    found = model.predict(frame((image, good), (good, good)))
    assert found["call"].tolist() == [None, "PASS"]
    assert found["detections"][0] is None
    assert "\n" not in found["error"][0]
    assert "expected" in found["error"][0]


def test_a_bad_reference_is_no_inspection_without_one(model: Any, golden: Image) -> None:
    good, half = text(encode_png(golden)), text(encode_png(golden[:80]))
    found = model.predict(frame((good, "no base64!"), (good, half), (good, text(encode_png(golden)[:60]))))
    assert found["call"].tolist() == [None] * 3
    assert all("reference" in error for error in found["error"])


def test_base64_in_lines_is_read_too(model: Any, bad: Image, golden: Image) -> None:
    lines = base64.encodebytes(encode_png(bad)).decode()
    assert lines.count("\n") > 1
    assert model.predict(frame((lines, text(encode_png(golden)))))["call"].tolist() == ["FAIL"]


def test_the_table_function_has_a_row_for_each_detection_and_one_for_a_board_without(
    model: Any, bad: Image, golden: Image
) -> None:
    good = text(encode_png(golden))
    found = model.detections(frame(("B1", text(encode_png(bad)), good), ("B2", good, good), (None, "?", good)))
    assert found["call"].tolist() == ["FAIL", "FAIL", "PASS", None]
    assert found["detected_class"].tolist()[2:] == [None, None]
    assert sorted(found["detected_class"][:2]) == ["open", "spur"]
    assert found["board_id"].tolist() == ["B1", "B1", "B2", None]
    first = found[found["detected_class"] == "open"].iloc[0]
    assert [first[edge] for edge in ("x1", "y1", "x2", "y2")] == pytest.approx([20, 20, 40, 40])
    assert found["x1"].isna().tolist() == [False, False, True, True]
    assert found["error"].notna().tolist() == [False, False, False, True]


def test_what_snowflake_does_to_bytes_is_why_images_are_text() -> None:
    """If this fails, Snowflake ML has changed, and SQL could do without BASE64_ENCODE."""
    import pandas as pd
    from snowflake.ml.model.model_signature import DataType, FeatureSpec

    handed_over = FeatureSpec("image", DataType.BYTES).as_dtype()
    assert pd.Series([b"BM\0\0", None], dtype=object).astype(handed_over).tolist() == [b"BM", b"None"]


@pytest.fixture
def packed(tmp_path: Path, snowpark: Any) -> Path:
    """The shipped model as `log_model` would send it: packed by Snowflake ML itself."""
    from snowflake.ml._internal.platform_capabilities import PlatformCapabilities
    from snowflake.ml.model._model_composer.model_composer import ModelComposer
    from snowflake.ml.registry._manager import model_manager

    from copperline.inspection.snowflake_package import package

    shipped, source, folder = builtin_model("deeppcb"), tmp_path / "source", tmp_path / "packed"
    source.mkdir()
    folder.mkdir()
    shutil.copyfile(shipped.path, source / "model.onnx")
    shipped.card.write(source)
    arguments = package(source)
    model_manager._validate_user_model_save_options(arguments["model"], arguments["options"])
    # What the account's server would say of itself.
    with PlatformCapabilities.mock_features({"SET_MODULE_FUNCTIONS_VOLATILITY_FROM_MANIFEST": True}):
        ModelComposer(snowpark, "@S.M.L/model", save_location=str(folder)).save(name="detector", **arguments)
    return folder


# As a warehouse does it: the function files that Snowflake ML wrote are run, with Copperline from the package alone.
IN_SNOWFLAKE = """
import json, runpy, sys, types

def vectorized(**how):
    return lambda function: function

sys.modules["_snowflake"] = types.SimpleNamespace(vectorized=vectorized)
folder, given = sys.argv[1:]
sys._xoptions["snowflake_import_directory"] = folder
sys.path[:] = [entry for entry in sys.path if "copperline" not in entry and not entry.endswith("/src")]
import numpy as np, pandas as pd
rows = json.load(open(given))
predict = runpy.run_path(folder + "/functions/predict.py")["infer"]
detections = runpy.run_path(folder + "/functions/detections.py")["infer"]()
scalar = predict(pd.DataFrame([row[1:] for row in rows], dtype=object))
table = detections.end_partition(pd.DataFrame(rows, dtype=object))
import copperline
print(json.dumps({
    "scalar": scalar, "table": json.loads(table.to_json(orient="records", double_precision=15)),
    "copperline": copperline.__file__, "modules": sorted(sys.modules),
}))
"""


def closure(names: list[str]) -> set[str]:
    """Distributions that come with these, by what they say of themselves."""
    from importlib.metadata import PackageNotFoundError, requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        waiting += [canonicalize_name(r.name) for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def test_the_package_alone_gives_bit_for_bit_what_the_detector_gives_here(packed: Path, tmp_path: Path) -> None:
    from copperline.data.synthetic import write_synthetic_dataset
    from copperline.inspection.pairs import pairs_in
    from copperline.stage import read_bytes

    write_synthetic_dataset(tmp_path / "boards", train=2, test=2, size=320, processes=1)
    pairs = [pair for pair in pairs_in(tmp_path / "boards") if pair.reference_path is not None]
    images = [
        (read_bytes(p.test_path), None if p.reference_path is None else read_bytes(p.reference_path)) for p in pairs
    ]
    rows = [
        [p.board_id, text(test), None if golden is None else text(golden)]
        for p, (test, golden) in zip(pairs, images, strict=True)
    ]
    rows += [["single", rows[0][1], None], ["damaged", rows[0][1][:400], rows[0][2]], ["null", None, None]]
    given = tmp_path / "given.json"
    given.write_text(json.dumps(rows))
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "COPPERLINE"))}
    command = [sys.executable, "-c", IN_SNOWFLAKE, str(packed), str(given)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path, env=alone)
    assert run.returncode == 0, run.stderr[-2000:]
    result = json.loads(run.stdout.splitlines()[-1])

    detector = Detector.load("builtin:deeppcb", settings=Settings(workspace=tmp_path / "w"), threads=1)
    expected = [inspect_arrays(detector, decode_image(t, "t"), decode_image(g or b"", "g")) for t, g in images]
    expected.append(inspect_arrays(detector, decode_image(images[0][0], "t")))
    assert sum(len(verdict.detections) for verdict in expected) > 3
    for row, verdict in zip(result["scalar"], expected, strict=False):
        assert (row["call"], row["error"]) == (verdict.call.value, None)
        assert row["registration_score"] == verdict.registration_score
        assert json.loads(row["detections"]) == verdict.detections.to_dicts(detector.taxonomy)
    assert [row["call"] for row in result["scalar"][-2:]] == [None, None]
    assert [row["error"] is None for row in result["scalar"][-2:]] == [False, False]
    assert result["scalar"][-1]["error"].startswith("image: expected an image in base64, found NULL")
    boxes = [row for row in result["table"] if row["board_id"] == pairs[0].board_id]
    assert [row["detected_class"] for row in boxes] == [
        d["class"] for d in json.loads(result["scalar"][0]["detections"])
    ]

    assert result["copperline"].startswith(str(packed))
    assert not {"torch", "mlflow", "rich", "typer", "streamlit"} & set(result["modules"])


# What `snowflake_model` imports of Copperline, without Snowflake ML, which imports whatever it finds.
IMPORTED = """
import importlib.metadata, json, sys
sys.path[:] = [sys.argv[1], *(entry for entry in sys.path if not entry.endswith("/src"))]
import copperline.inspection.detector, copperline.inspection.inspect, copperline.runtime
tops = {name.partition(".")[0] for name in sys.modules}
distributions = importlib.metadata.packages_distributions()
print(json.dumps({
    "copperline": copperline.__file__,
    "distributions": sorted({d for top in tops - {"snowflake"} for d in distributions.get(top, [])}),
}))
"""


def test_the_packages_that_are_asked_for_are_those_that_are_imported(packed: Path, tmp_path: Path) -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    from copperline.inspection.snowflake_package import PACKAGES

    command = [sys.executable, "-c", IMPORTED, str(packed / "model" / "code")]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "COPPERLINE"))}
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path, env=alone)
    assert run.returncode == 0, run.stderr[-2000:]
    result = json.loads(run.stdout)
    assert result["copperline"].startswith(str(packed))
    imported = {canonicalize_name(name) for name in result["distributions"]}
    of_pip = {"opencv": "opencv-python-headless"}  # what conda's package is called where this test runs
    declared = {of_pip.get(name, name) for name in (Requirement(package).name for package in PACKAGES)}
    assert imported - closure(sorted(declared)) <= {"setuptools"}  # a distribution of Python itself, for its finder
    assert declared - imported == {"pandas"}  # `snowflake_model` itself; nothing is asked for in vain


def test_the_manifest_has_the_methods_that_are_documented(packed: Path) -> None:
    import yaml

    manifest = yaml.safe_load((packed / "MANIFEST.yml").read_text())
    methods = {method["name"]: method for method in manifest["methods"]}
    assert {name: method["type"] for name, method in methods.items()} == {
        "PREDICT": "FUNCTION",
        "DETECTIONS": "TABLE_FUNCTION",
    }
    assert [column["name"] for column in methods["PREDICT"]["inputs"]] == ["IMAGE", "REFERENCE"]
    assert [column["name"] for column in methods["DETECTIONS"]["outputs"]][:5] == [
        "BOARD_ID",
        "CALL",
        "REGISTRATION_SCORE",
        "DETECTED_CLASS",
        "CONFIDENCE_SCORE",
    ]
    assert manifest["target_platforms"] == ["WAREHOUSE"]
    assert "max_batch_size=MAX_BATCH_SIZE" in (packed / "functions" / "predict.py").read_text()
    assert "MAX_BATCH_SIZE = 16" in (packed / "functions" / "predict.py").read_text()
    environment = (packed / "runtimes" / "python_runtime" / "env" / "conda.yml").read_text()
    assert "onnxruntime>=1.20" in environment
    assert "torch" not in environment
    assert sum(file.stat().st_size for file in packed.rglob("*") if file.is_file()) < 6e6


class Account:
    """A session that answers which packages the account has."""

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        self.rows, self.asked = rows, ""

    def sql(self, text: str) -> Account:
        self.asked = text
        return self

    def collect(self) -> list[tuple[str, str]]:
        return self.rows


def test_packages_that_the_account_lacks_are_named_before_anything_is_sent() -> None:
    from packaging.requirements import Requirement

    from copperline.errors import ModelError
    from copperline.inspection.snowflake_package import PACKAGES, require_packages

    have = [(Requirement(package).name, "99") for package in PACKAGES if not package.startswith("sqlalchemy")]
    account = Account([*have, ("sqlalchemy", "2.0.40"), ("sqlalchemy", "1.4")])
    require_packages(account, '"PCB_CV"')  # type: ignore[arg-type]
    assert '"PCB_CV".INFORMATION_SCHEMA.PACKAGES' in account.asked
    with pytest.raises(ModelError, match=r"found no opencv>=4\.10, no sqlalchemy.*; accept the terms"):
        require_packages(Account([*(row for row in have if row[0] != "opencv"), ("opencv", "4.6")]), "D")  # type: ignore[arg-type]
