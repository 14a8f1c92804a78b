"""The manifest is what KubeRay and Kubernetes take, open to nobody else, whatever its names and command are."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import assume, given, settings

from copperline.cluster import ClusterSpec, manifest
from copperline.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = "1.34"
IMAGE = "registry.example/copperline:0.1.0"
COMMAND = "copperline train --engine ray --address auto --data boards"
SPECS = {
    "cluster": {},
    "job": {"command": COMMAND},
    "scaling": {"min_workers": 0, "max_workers": 8, "workers": 1},
    "everything": {
        "command": COMMAND,
        "min_workers": 1,
        "max_workers": 3,
        "gpus": 2,
        "secret": "s3-credentials",
        "claim": "workspace",
    },
}


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


kuberay = _load(Path(__file__).with_name("kuberay.py"), "tests_cluster_kuberay")
check_manifest = _load(ROOT / "scripts" / "check_manifest.py", "check_manifest")


def spec(**changes: Any) -> ClusterSpec:
    return ClusterSpec(**{"name": "night", "image": IMAGE, "ray_version": "2.60.0", **changes})


def objects(**changes: Any) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifest(spec(**changes))))


def cluster_of(each: dict[str, Any]) -> dict[str, Any]:
    return each["spec"]["rayClusterSpec"] if each["kind"] == "RayJob" else each["spec"]  # type: ignore[no-any-return]


def templates(each: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = cluster_of(each)
    found = [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]
    return [*found, each["spec"]["submitterPodTemplate"]] if each["kind"] == "RayJob" else found


@pytest.mark.parametrize("changes", SPECS.values(), ids=SPECS)
def test_every_part_fits_its_schema(changes: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed").validate
    policy, ray = objects(**changes)
    validate(policy, KUBERNETES, strict=True)
    getattr(kuberay, ray["kind"]).model_validate(ray)
    for template in templates(ray):
        # The operator sets what only it knows: the command, the labels of its own.
        validate(
            {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t"}, "template": template},
            KUBERNETES,
            strict=True,
        )


def test_the_schemas_refuse_what_is_wrong() -> None:
    kubernetes = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    policy, ray = objects()
    policy["spec"]["ingres"] = []
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(policy, KUBERNETES, strict=True)
    ray["spec"]["headGroupSpec"]["replica"] = 1
    with pytest.raises(ValueError, match="replica"):
        kuberay.RayCluster.model_validate(ray)


@pytest.mark.parametrize("changes", SPECS.values(), ids=SPECS)
def test_pods_run_without_rights_and_with_fixed_resources(changes: dict[str, Any]) -> None:
    for template in templates(objects(**changes)[1]):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"] == container["resources"]["limits"]
            assert container["image"] == IMAGE


def test_only_the_cluster_and_the_operator_reach_the_pods() -> None:
    policy, ray = objects(command=COMMAND)
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    own = policy["spec"]["podSelector"]["matchLabels"]
    for template in templates(ray):
        assert own.items() <= template["metadata"]["labels"].items()
    inside, operator = policy["spec"]["ingress"]
    assert inside == {"from": [{"podSelector": {"matchLabels": own}}]}
    assert [port["port"] for port in operator["ports"]] == [8265]
    assert cluster_of(ray)["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert cluster_of(ray)["authOptions"] == {"mode": "token"}
    assert not [each for each in (policy, ray) if each["kind"] == "Service"]


def test_credentials_come_from_the_secret_alone() -> None:
    ray = objects(secret="s3-credentials", command=COMMAND)[1]
    for template in templates(ray)[:2]:
        container = template["spec"]["containers"][0]
        assert container["envFrom"] == [{"secretRef": {"name": "s3-credentials"}}]
        assert {variable["name"] for variable in container["env"]} == {"HOME", "RAY_USAGE_STATS_ENABLED"}
    assert "AWS" not in manifest(spec(secret="s3-credentials"))


def test_the_head_does_none_of_the_work() -> None:
    cluster = cluster_of(objects(cpus=8, memory="32Gi", gpus=2)[1])
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    worker = cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    assert worker["resources"]["limits"] == {"cpu": 8, "memory": "32Gi", "nvidia.com/gpu": 2}
    assert worker["livenessProbe"]["exec"]["command"][:2] == ["python", "-c"]
    compile(worker["livenessProbe"]["exec"]["command"][2], "probe", "exec")


@settings(deadline=None)
@given(st.text())
def test_no_name_becomes_anything_but_a_name(text: str) -> None:
    try:
        found = spec(name=text, namespace=text, secret=text, claim=text)
    except SettingsError:
        return
    assert len(list(yaml.safe_load_all(manifest(found)))) == 2
    assert text.isascii()
    assert yaml.safe_load(manifest(found).split("---\n")[2])["metadata"]["name"] == text


@settings(deadline=None)
@given(st.text(min_size=1))
def test_a_command_is_kept_as_it_is(text: str) -> None:
    try:
        found = spec(command=text)
    except SettingsError:
        assume(False)
    policy, job = yaml.safe_load_all(manifest(found))
    assert job["spec"]["entrypoint"] == text
    assert policy["kind"] == "NetworkPolicy"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Night"},
        {"name": "night_1"},
        {"name": "1night"},
        {"name": "night-"},
        {"name": ""},
        {"name": "n" * 48},
        {"name": "night\nkind: Pod"},
        {"namespace": "a.b"},
        {"secret": "x: y"},
        {"claim": "-"},
        {"memory": "8"},
        {"memory": "0Gi"},
        {"memory": "-1Gi"},
        {"memory": "8 Gi"},
        {"head_memory": "lots"},
        {"workers": -1},
        {"cpus": 0},
        {"gpus": -1},
        {"image": "copperline"},
        {"image": "copperline:latest"},
        {"image": "a b:1"},
        {"image": "copperline:1\n"},
        {"ray_version": "2"},
        {"command": " "},
        {"command": "a\nb"},
        {"min_workers": 1},
        {"min_workers": 3, "max_workers": 4},
        {"min_workers": 2, "max_workers": 1},
        {"time_limit_s": 0},
    ],
    ids=str,
)
def test_what_kubernetes_would_refuse_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        spec(**wrong)
    assert "\n" not in str(caught.value)
    assert caught.value.fix


DEFINITION = """
kind: CustomResourceDefinition
spec:
  group: ray.io
  names: {kind: RayCluster}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          metadata: {type: object}
          spec:
            type: object
            required: [rayVersion]
            properties:
              rayVersion: {type: string}
              authOptions: {type: object, properties: {mode: {type: string, enum: [token]}}}
              size: {anyOf: [{type: integer}, {type: string}], x-kubernetes-int-or-string: true}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              map: {type: object, additionalProperties: {type: string}}
"""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"size": "8Gi", "free": {"any": 1}, "map": {"a": "b"}}, None),
        ({"rayVersion": 2}, "rayVersion: 2 is not of type 'string'"),
        ({"authOptions": {"mode": "none"}}, "authOptions.mode: 'none' is not one of"),
        ({"authOptions": {"made-up": 1}}, "'made-up' was unexpected"),
        ({"map": {"a": 1}}, "map.a: 1 is not of type 'string'"),
    ],
)
def test_a_manifest_is_checked_against_a_definition(changes: dict[str, Any], words: str | None) -> None:
    schemas = check_manifest.schemas_of([yaml.safe_load(DEFINITION)])
    each = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "night", "labels": {}},
        "spec": {"rayVersion": "2.60.0", **changes},
    }
    found = list(check_manifest.mistakes([each, {"apiVersion": "v1", "kind": "Pod"}], schemas))
    assert (found == []) if words is None else (len(found) == 1 and words in found[0])
