"""The importer must read tensors and run nothing."""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from copperline.errors import ModelError
from copperline.yolo.checkpoint import import_yolo12n, read_checkpoint_tensors
from copperline.yolo.network import Yolo12N

INTEROP = Path(os.environ.get("COPPERLINE_DEEPPCB", "")).parent.parent / "interop"
needs_interop = pytest.mark.skipif(
    not os.environ.get("COPPERLINE_DEEPPCB") or not INTEROP.is_dir(),
    reason="no public-layout checkpoint beside COPPERLINE_DEEPPCB",
)


@needs_interop
def test_public_checkpoint_reproduces_its_output() -> None:
    network = import_yolo12n(INTEROP / "yolo12n-random.pt")
    expected = np.load(INTEROP / "yolo12n-random-io.npz")
    with torch.no_grad():
        output = network(torch.from_numpy(expected["x"]))
    boxes, y = output.boxes()[0].numpy(), expected["y"][0].astype(np.float64)
    centre_size = np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1).T
    np.testing.assert_allclose(centre_size, y[:4], atol=1e-3)
    logits = np.log(y[4:] / (1 - y[4:]))
    np.testing.assert_allclose(output.class_logits[0].T.numpy(), logits, atol=1e-4)


def write_archive(path: Path, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return path


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (os.mkdir, (str(self.target),))


def test_code_in_the_pickle_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    path = write_archive(tmp_path / "evil.pt", pickle.dumps({"model": Malicious(mark)}))
    with pytest.raises(ModelError):
        import_yolo12n(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Malicious(mark)))  # the same bytes do run under the ordinary unpickler
    assert mark.exists()


class Holder:
    """Has the attributes in which a pickled network keeps its tensors."""

    def __init__(self, parameters: dict[str, torch.Tensor], modules: dict[str, "Holder"]) -> None:
        self._parameters, self._buffers, self._modules = OrderedDict(parameters), OrderedDict(), OrderedDict(modules)


def test_reads_tensors_of_unknown_classes_as_float32(tmp_path: Path) -> None:
    weight = torch.arange(6, dtype=torch.float16).reshape(2, 3)
    network = Holder({}, {"model": Holder({}, {"0": Holder({"weight": weight.t()}, {})})})
    torch.save({"model": network}, tmp_path / "c.pt")
    tensors = read_checkpoint_tensors(tmp_path / "c.pt")
    assert list(tensors) == ["model.0.weight"]
    assert tensors["model.0.weight"].dtype == torch.float32
    assert torch.equal(tensors["model.0.weight"], weight.t().float())


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "cannot be read"), (b"not a zip", "cannot be read"), (None, "no such checkpoint")],
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as error:
        read_checkpoint_tensors(path)
    assert str(path) in str(error.value)


def test_archive_cut_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "cut.pt", pickle.dumps({"model": 1})[:-3])
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint_tensors(path)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    torch.save({"model": Holder({"w": torch.zeros(2)}, {})}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="another network"):
        import_yolo12n(tmp_path / "other.pt")
    torch.save(Yolo12N(2).state_dict(), tmp_path / "plain.pt")
    with pytest.raises(ModelError, match="pickled network"):
        import_yolo12n(tmp_path / "plain.pt")
