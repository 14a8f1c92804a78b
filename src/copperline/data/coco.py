"""COCO's detection layout (https://cocodataset.org/#format-data), with references beside.

annotations/instances_{split}.json   images, annotations (bbox x y width height, pixels), categories from 1
images/{split}/ID.ext                test images
references/{split}/ID.ext            references, named in each image's `reference_file_name`; never annotated
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from copperline.data.assembly import Candidate, assemble, skip
from copperline.data.labels import LabelRow, class_ids_by_name
from copperline.data.pairs import SPLITS, BoardDataset, BoardPair, Split
from copperline.data.report import ImportReport, SkippedBoard
from copperline.errors import DataError
from copperline.files import atomic_folder, copy_into, file_name
from copperline.taxonomy import DEEPPCB, Taxonomy

ANNOTATIONS = "annotations"


class _CocoImage(BaseModel):
    """`reference_file_name`, `board_id` and `board_group` are Copperline's own and may be absent."""

    id: int
    file_name: str = Field(min_length=1)
    width: int | None = None
    height: int | None = None
    reference_file_name: str | None = None
    board_id: str | None = None
    board_group: str | None = None


class _CocoAnnotation(BaseModel):
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: Literal[0] = 0  # a crowd is a region of many objects: no defect's box


class _CocoCategory(BaseModel):
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class _Instances:
    """One annotation file; images and annotations are checked one by one later, so that one fault skips one board."""

    path: Path
    images: list[Any]
    annotations: dict[int, list[Any]]
    class_ids: dict[int, int]


def write_coco(dataset: BoardDataset, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Copies the images and writes one annotation file per split; gives the folder.

    Boxes come back exactly. Raises DataError if the folder exists (unless `overwrite` and it is a COCO folder),
    cannot be written, or an image is gone.
    """
    folder = Path(folder)
    with atomic_folder(folder, overwrite=overwrite, marker=ANNOTATIONS) as temporary:
        (temporary / ANNOTATIONS).mkdir()
        for split in SPLITS:
            pairs = [pair for pair in dataset if pair.split == split]
            if pairs:
                content = coco_dict(pairs, dataset.taxonomy)
                instances_path(temporary, split).write_text(json.dumps(content, indent=1), encoding="utf-8")
            for pair in pairs:
                copy_into(pair.test_path, temporary / "images" / split / _name(pair.board_id, pair.test_path))
                if pair.reference_path is not None:
                    copy_into(
                        pair.reference_path,
                        temporary / "references" / split / _name(pair.board_id, pair.reference_path),
                    )
    return folder


def coco_dict(pairs: Sequence[BoardPair], taxonomy: Taxonomy) -> dict[str, Any]:
    """The COCO object of some boards; image, annotation and category ids count from 1."""
    images = [
        {
            "id": image_id,
            "file_name": _name(pair.board_id, pair.test_path),
            "width": pair.width,
            "height": pair.height,
            "reference_file_name": pair.reference_path and _name(pair.board_id, pair.reference_path),
            "board_id": pair.board_id,
            "board_group": pair.board_group,
        }
        for image_id, pair in enumerate(pairs, start=1)
    ]
    labels = [
        (image_id, int(class_id), box)
        for image_id, pair in enumerate(pairs, start=1)
        for class_id, box in zip(pair.labels.class_ids, pair.labels.boxes.astype(float).tolist(), strict=True)
    ]
    annotations = [
        {
            "id": annotation_id,
            "image_id": image_id,
            "category_id": class_id + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        for annotation_id, (image_id, class_id, (x1, y1, x2, y2)) in enumerate(labels, start=1)
    ]
    categories = [{"id": c.id + 1, "name": c.name, "supercategory": "defect"} for c in taxonomy]
    return {"images": images, "annotations": annotations, "categories": categories}


def read_coco(
    folder: str | Path, taxonomy: Taxonomy = DEEPPCB, *, splits: Collection[Split] | None = None
) -> tuple[BoardDataset, ImportReport]:
    """Reads annotations/instances_{train,val,test}.json and the images beside, also without references.

    Categories are matched to the taxonomy by name. An image is looked for in images/{split}, {split}, images and
    the folder itself. An image without annotations is a board without defects.

    Args:
        splits: read these alone; the result is the same as that part of a full reading.

    Returns:
        Pairs in the order of train, val, test and of the files, and the account of what was skipped.

    Raises:
        DataError: no annotation file, one that is no COCO, categories that the taxonomy has not, or no usable board.
    """
    folder = Path(folder)
    found: list[Split] = [split for split in SPLITS if instances_path(folder, split).is_file()]
    if not found:
        raise DataError(
            f"expected {ANNOTATIONS}/instances_train.json, _val or _test, found none",
            where=folder,
            fix="check the path",
        )
    candidates: list[Candidate] = []
    skipped: list[SkippedBoard] = []
    for split in found:
        instances = _read_instances(instances_path(folder, split), taxonomy)
        for image in instances.images:
            try:
                candidates.append(_candidate(folder, split, image, instances))
            except DataError as error:
                if splits is None or split in splits:
                    skipped.append(skip(_description(image), error))
    return assemble(
        candidates, name=folder.resolve().name, source=folder, taxonomy=taxonomy, splits=splits, skipped=skipped
    )


def instances_path(folder: Path, split: Split) -> Path:
    return folder / ANNOTATIONS / f"instances_{split}.json"


def _read_instances(path: Path, taxonomy: Taxonomy) -> _Instances:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        categories = [_CocoCategory.model_validate(c) for c in content["categories"]]
        images, rows = list(content["images"]), list(content["annotations"])
        annotations: dict[int, list[Any]] = defaultdict(list)
        for row in rows:
            annotations[row["image_id"]].append(row)
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=path, fix="check it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            "expected a COCO object with images, annotations (each with an image_id) and categories",
            where=path,
            fix="export it again",
        ) from error
    class_ids = class_ids_by_name([c.name for c in categories], taxonomy, path)
    return _Instances(path, images, annotations, {c.id: i for c, i in zip(categories, class_ids, strict=True)})


def _candidate(folder: Path, split: Split, raw: Any, instances: _Instances) -> Candidate:
    try:
        image = _CocoImage.model_validate(raw)
    except ValidationError as error:
        raise _fault(error, instances.path, f"image {_description(raw)}") from error
    board_id = image.board_id or PurePosixPath(image.file_name).stem
    reference = image.reference_file_name
    return Candidate(
        board_id=board_id,
        board_group=image.board_group or board_id,
        split=split,
        test_path=_find(folder, "images", split, image.file_name),
        reference_path=_find(folder, "references", split, reference) if reference else None,
        read_labels=partial(_read_labels, image, instances),
    )


def _find(folder: Path, kind: str, split: Split, name: str) -> Path:
    """Where the file is; if nowhere, where Copperline would put it, so that the error names that."""
    places = [folder / kind / split / name, folder / split / name, folder / kind / name, folder / name]
    return next((place for place in places if place.is_file()), places[0])


def _read_labels(image: _CocoImage, instances: _Instances, width: int, height: int) -> list[LabelRow]:
    stated = (image.width or width, image.height or height)
    if stated != (width, height):
        raise DataError(
            f"image {image.id}: expected {stated[0]} x {stated[1]} pixels, found an image of {width} x {height}",
            where=instances.path,
            fix="export the annotations for these images again",
        )
    rows = []
    for raw in instances.annotations.get(image.id, []):
        try:
            annotation = _CocoAnnotation.model_validate(raw)
        except ValidationError as error:
            raise _fault(error, instances.path, f"an annotation of image {image.id}") from error
        if annotation.category_id not in instances.class_ids:
            raise DataError(
                f"image {image.id}: category {annotation.category_id} is not among the categories",
                where=instances.path,
                fix="correct the annotation",
            )
        x, y, box_width, box_height = annotation.bbox
        box = (x, y, x + box_width, y + box_height)
        rows.append(LabelRow(instances.class_ids[annotation.category_id], box, instances.path))
    return rows


def _fault(error: ValidationError, path: Path, what: str) -> DataError:
    first = error.errors()[0]
    return DataError(
        f"{what}: {'.'.join(map(str, first['loc'])) or 'object'}: {first['msg']}", where=path, fix="correct the file"
    )


def _description(raw: Any) -> str:
    return str(raw.get("file_name") or raw.get("id") or "without a name") if isinstance(raw, dict) else repr(raw)[:40]


def _name(board_id: str, path: Path) -> str:
    return file_name(board_id, path.suffix)
