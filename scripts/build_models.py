"""Rebuilds a model that ships with Copperline: trains it, measures it, writes its card and puts both in the package.

python scripts/build_models.py deeppcb --data PCBData                        # trains as its recipe says
python scripts/build_models.py deeppcb --data PCBData --resume               # goes on after an interruption
python scripts/build_models.py deeppcb --data PCBData --from-run RUN_FOLDER  # measures and packs a finished run
python scripts/build_models.py golden-only --data PCBData --epochs 30        # other options go to `copperline train`
python scripts/build_models.py --figures                                     # writes the table in docs/models.md anew
python scripts/build_models.py --baselines --data PCBData                    # measures the cards' baselines anew

The data are DeepPCB: its trainval list is trained and validated on, its test list is measured on and nothing else. The
baselines for drift are of the validation boards; with --baselines the test list is not opened. A run lies in the folder
`runs` of the workspace in whose registry it is, as `copperline train` leaves it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from pydantic import JsonValue

from copperline.data import BoardDataset, open_dataset
from copperline.data.pairs import Split
from copperline.errors import CopperlineError, ModelError
from copperline.evaluation import Evaluation
from copperline.files import atomic_file
from copperline.inspection import Detector
from copperline.registry import (
    Baseline,
    ModelCard,
    Registry,
    SplitCard,
    builtin_folder,
    builtin_model,
    builtin_models,
    disagreements,
    file_sha256,
)
from copperline.registry.builtin import CARD_SUFFIX, SUFFIX
from copperline.registry.card import NOT_MEASURED
from copperline.registry.card_figures import INTERVALS
from copperline.settings import Settings
from copperline.workflows.baselining import SEEN, measure_baseline
from copperline.workflows.evaluating import measure

FIGURES = Path(__file__).parents[1] / "docs" / "models.md"
MEASURED = ("ap33", "ap33_pooled", "map50", "map50_95", "f_score", "precision", "recall", "false_call_rate")
SHOWN = {
    "ap33": "AP33",
    "map50": "mAP50",
    "map50_95": "mAP50:95",
    "f_score": "F-score",
    "false_call_rate": "clean boards with a false call",
}
SOFTWARE = ("copperline", "torch", "onnx", "onnxruntime", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class Recipe:
    """How a shipped model is trained.

    Attributes:
        data_option: of `copperline train`, that the data set goes to.
        arguments: the others.
        refit: train once more, with the same settings, on the boards of training and validation together.
        data_use: for the card: what the data were used for.
        seen: for the card's baseline: what the model has seen of the validation boards that it is measured on.
    """

    data_option: str
    arguments: tuple[str, ...]
    refit: bool
    data_use: tuple[str, ...]
    seen: str


RECIPES = {
    "deeppcb": Recipe(
        "--data",
        (
            *("--network", "yolo12-pico-wide", "--epochs", "65", "--batch-size", "110", "--micro-batch", "110"),
            *("--crop-size", "128", "--learning-rate", "0.0055", "--drawn", "0.15"),
        ),
        True,
        (
            "Trained on the pairs and labels of DeepPCB's trainval list; the test list was only measured on.",
            "Settings and operating point were chosen on the validation boards, which are groups of their own, with a "
            "model that was not trained on them; that one's false calls on clean boards of its training counted in the "
            "choice too. Then this one was trained anew on all boards of the list.",
        ),
        SEEN,
    ),
    "golden-only": Recipe(
        "--golden-only",
        ("--epochs", "36"),
        False,
        (
            "Trained on the references of DeepPCB's trainval list alone: no test image and no label was read.",
            "The generator that draws its defects was drawn up after looking at pictures of defects, and at the sizes "
            "and box margins of the labels, of the trainval list; how far its two images lie apart, after looking at "
            "false alarms on pairs of that list.",
            "Operating point chosen on drawn defects. Labelled boards, val and test, were only measured on.",
        ),
        "of which the model has seen no test image and no label; its operating point was chosen on defects drawn into "
        "these boards' references",
    ),
}


def main(arguments: list[str]) -> None:
    options, extra = _parser().parse_known_args(arguments)
    if options.figures:
        write_figures(FIGURES)
        return
    if options.baselines and options.data is not None:
        for name in builtin_models() if options.name is None else (options.name,):
            write_baseline(name, options.data)
        return
    if options.name is None or options.data is None:
        raise ModelError("expected the name of a model and --data PATH", fix=f"name one of {', '.join(RECIPES)}")
    run = options.from_run or train(options.name, options.data, options.workspace, extra, resume=options.resume)
    card = build(
        options.name, run, options.data, extra, hardware=options.hardware, folder=options.folder or builtin_folder()
    )
    print(card.to_markdown())
    if options.folder is None:
        write_figures(FIGURES)


def train(name: str, data: Path, workspace: Path, extra: list[str], *, resume: bool) -> Path:
    """Runs `copperline train` in processes of their own and gives the last run's folder; progress goes to stderr.

    With `resume` the first of them goes on with the workspace's last run.
    """
    output = b""
    for command in training_commands(name, str(data), extra):
        words = [sys.executable, "-m", *command, "--workspace", str(workspace), "--json"]
        done = subprocess.run([*words, *(["--resume", "last"] if resume else [])], stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise ModelError("the training did not end well, see above", where=workspace, fix="go on with --resume")
        output, resume = done.stdout, False
    return Path(json.loads(output)["run"])


def training_commands(name: str, data: str, extra: list[str]) -> list[list[str]]:
    """What is typed to train the model; what `extra` names again, it changes.

    >>> [" ".join(command) for command in training_commands("golden-only", "PATH", ["--epochs", "3"])]
    ['copperline train --golden-only PATH --epochs 36 --epochs 3']
    """
    recipe = RECIPES[name]
    source = ["copperline", "train", recipe.data_option, data]
    return [[*source, *recipe.arguments, *extra], *([[*source, "--refit", "last"]] if recipe.refit else [])]


def build(
    name: str, run: Path, data: Path, extra: list[str], *, hardware: str | None = None, folder: Path | None = None
) -> ModelCard:
    """Measures the model of a finished run and writes it into `folder` with its card.

    Raises:
        ModelError: the run is not finished or not registered in its workspace, was trained with other options than
            the card would say, or the model exceeds what may be shipped.
    """
    folder = folder or builtin_folder()
    model = run / "model.onnx"
    trained = _registered_card(run, file_sha256(model))
    _require_options(name, extra, trained, run)
    detector = Detector.load(model)
    dataset, _ = open_dataset(data, splits=("val", "test"), taxonomy=detector.taxonomy)
    card = trained.model_copy(
        update={
            "name": name,
            "sha256": file_sha256(model),
            "classes": detector.taxonomy.names,
            "command": " && ".join(map(shlex.join, training_commands(name, "PATH", extra))),
            "software": {"Python": platform.python_version(), **{package: version(package) for package in SOFTWARE}},
            "hardware": hardware or f"{os.cpu_count()} cores, {platform.machine()} {platform.system()}",
            "data_use": RECIPES[name].data_use,
            "splits": trained.splits | {"test": _split_card(dataset, "test")},
            "metrics": trained.metrics | _measure(detector, dataset, trained),
            "baseline": _baseline(name, detector, dataset),
        }
    )
    faults = disagreements(card, model, detector.info)
    if faults:
        raise ModelError("; ".join(faults), where=model, fix="the model is not shipped: train it anew")
    # The card last: until it is there, the new file is refused as damaged instead of being used without its figures.
    with atomic_file(folder / f"{name}{SUFFIX}") as temporary:
        shutil.copyfile(model, temporary)
    _write_card(card, folder / f"{name}{CARD_SUFFIX}")
    return card


def write_baseline(name: str, data: Path) -> None:
    """Measures the baseline of a shipped model on DeepPCB's validation boards; the rest of its card stays as it is."""
    shipped = builtin_model(name)
    dataset, _ = open_dataset(data, splits=("val",))
    detector = Detector.load(shipped.path, threads=1)
    card = shipped.card.model_copy(update={"baseline": _baseline(name, detector, dataset)})
    _write_card(card, shipped.path.with_suffix(CARD_SUFFIX))
    print(f"{name}: {card.baseline.measured_on if card.baseline else NOT_MEASURED}")


def write_figures(page: Path) -> None:
    """Puts the cards' figures between the marks in `page`."""
    text = page.read_text(encoding="utf-8")
    changed = re.sub(
        r"(<!-- figures -->\n).*(<!-- end of figures -->)",
        lambda marks: marks[1] + figures() + marks[2],
        text,
        flags=re.DOTALL,
    )
    with atomic_file(page) as temporary:
        temporary.write_text(changed, encoding="utf-8")


def figures() -> str:
    """A Markdown table of what the shipped models reach, with 95 % intervals, from their cards."""
    lines = [
        f"| `{name}` | {measured} | " + " | ".join(_figure(rows.get(figure)) for figure in SHOWN) + " |"
        for name in builtin_models()
        for measured, rows in builtin_model(name).card.metrics.items()
        # What training itself measured on validation is measured again, with and without references.
        if isinstance(rows, dict) and SHOWN.keys() <= rows.keys() and not measured.endswith(INTERVALS)
    ]
    if not lines:
        return "*This source tree has none of them.*\n"
    head = f"| | measured on | {' | '.join(SHOWN.values())} |"
    return "\n".join([head, "|---" * (2 + len(SHOWN)) + "|", *lines]) + "\n"


def _registered_card(run: Path, sha256: str) -> ModelCard:
    """The card that `copperline train` registered the model with: it passed the parity gate."""
    settings = Settings.load(run.resolve().parent.parent)
    for registered in Registry(settings).versions():
        if registered.sha256 == sha256:
            return registered.read_card()
    raise ModelError(
        "expected a run whose model is registered in its workspace, found none",
        where=run,
        fix="end the run with `copperline train --resume`, which registers it",
    )


def _require_options(name: str, extra: list[str], trained: ModelCard, run: Path) -> None:
    """The card must not name another command than the one that trained the model."""
    words = [*RECIPES[name].arguments, *extra]
    named = {
        option.removeprefix("--").replace("-", "_"): value
        for option, value in pairwise(words)
        if option.startswith("--")
    }
    used = {**trained.training, "seed": trained.seed}
    wrong = [
        f"{option} {value} (the run: {used[option]})"
        for option, value in named.items()
        if option in used and str(used[option]) != value and _number(used[option]) != _number(value)
    ]
    if wrong:
        raise ModelError(
            f"the run was trained with other options: {', '.join(wrong)}",
            where=run,
            fix="name the run's own options, as they were given to `copperline train`",
        )


def _split_card(dataset: BoardDataset, split: Split) -> SplitCard:
    pairs = dataset.split(split)
    return SplitCard(boards=len(pairs), groups=tuple(sorted({pair.board_group for pair in pairs})))


def _baseline(name: str, detector: Detector, dataset: BoardDataset) -> Baseline | None:
    return measure_baseline(
        detector, dataset.split("val"), RECIPES[name].seen, kind="validation boards of DeepPCB's trainval list"
    )


def _write_card(card: ModelCard, path: Path) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _measure(detector: Detector, dataset: BoardDataset, trained: ModelCard) -> dict[str, JsonValue]:
    """The splits that it was not trained on, with reference and as single images."""
    splits: list[Split] = ["test"] if not trained.splits["val"].boards else ["val", "test"]
    return {
        f"{split}, {'single images' if single else 'with reference'}": _rows(
            measure(detector, dataset.split(split), single=single).evaluation
        )
        for split in splits
        for single in (False, True)
    }


def _rows(evaluation: Evaluation) -> dict[str, JsonValue]:
    intervals = {**evaluation.intervals, "false_call_rate": evaluation.false_call_interval}
    rows: dict[str, JsonValue] = {}
    for name in MEASURED:
        low, high = intervals.get(name) or (None, None)
        rows[name] = {"value": getattr(evaluation, name), "low": low, "high": high}
    return rows


def _figure(row: JsonValue) -> str:
    """A rate of a card in per cent, with its interval.

    >>> _figure({"value": 0.992, "low": 0.989, "high": 0.995}), _figure({"value": None, "low": None, "high": None})
    ('99.2 % (98.9 - 99.5)', 'not measured')
    """
    if not isinstance(row, dict):
        return NOT_MEASURED
    per_cent = [f"{100 * n:.1f}" for key in ("value", "low", "high") if isinstance(n := row.get(key), int | float)]
    match per_cent:
        case [value, low, high]:
            return f"{value} % ({low} - {high})"
        case [value]:
            return f"{value} %"
        case _:
            return NOT_MEASURED


def _number(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES, nargs="?", help="the model")
    parser.add_argument("--data", type=Path, help="DeepPCB, with labels")
    parser.add_argument("--from-run", type=Path, help="finished run folder, instead of training")
    parser.add_argument("--resume", action="store_true", help="go on with the workspace's last run")
    parser.add_argument("--workspace", type=Path, default=Path("copperline-workspace/build-models"))
    parser.add_argument("--hardware", help="for the card, e.g. '2 cores of a shared server'")
    parser.add_argument("--folder", type=Path, help="write the model there, instead of into the package")
    parser.add_argument("--baselines", action="store_true", help="only measure the baselines for drift anew")
    parser.add_argument("--figures", action="store_true", help="only write the table in docs/models.md anew")
    return parser


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except CopperlineError as problem:
        sys.exit(f"error: {problem}")
