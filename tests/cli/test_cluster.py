"""`copperline cluster` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from copperline.cluster import Plant, capacity, read_measured

IMAGE = "registry.example/copperline:0.1.0"


def test_a_manifest_is_printed_for_kubectl(copperline: Callable[..., Any]) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    ran = copperline("cluster", "manifest", "--image", IMAGE, "--workers", 3, "--name", "night")
    assert ran.status == 0
    policy, cluster = yaml.safe_load_all(ran.out)
    assert (policy["kind"], cluster["kind"]) == ("NetworkPolicy", "RayCluster")
    assert cluster["metadata"]["name"] == "night"
    assert cluster["spec"]["workerGroupSpecs"][0]["replicas"] == 3


def test_a_manifest_of_a_job_is_written(copperline: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "job.yaml"
    command = "copperline train --engine ray --address auto --data boards"
    options = ("--image", IMAGE, "--ray-version", "2.60.0", "--command", command, "--time-limit", "2h")
    ran = copperline("cluster", "manifest", *options, "--output", target)
    assert (ran.status, ran.err) == (0, "")
    assert f"kubectl apply -f {target}" in ran.out
    job = list(yaml.safe_load_all(target.read_text()))[1]
    assert job["spec"]["entrypoint"] == command
    assert job["spec"]["activeDeadlineSeconds"] == 7200


@pytest.mark.parametrize(
    "wrong",
    [
        ("--name", "Not A Name"),
        ("--memory", "8"),
        ("--image", "copperline:latest"),
        ("--time-limit", "soon"),
        ("--min", "5", "--max", "9"),
    ],
    ids=" ".join,
)
def test_what_kubernetes_would_refuse_ends_in_one_line(copperline: Callable[..., Any], wrong: tuple[str, ...]) -> None:
    ran = copperline("cluster", "manifest", "--image", IMAGE, "--ray-version", "2.60.0", *wrong)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1


def test_a_capacity_is_told_step_by_step(copperline: Callable[..., Any]) -> None:
    ran = copperline("cluster", "capacity", "--lines", 7, "--plants", 3, "--core-hour-price", 0.05, "--json")
    assert ran.status == 0
    steps = {step["key"]: step["value"] for step in ran.json["steps"]}
    assert steps["images_per_s"] == capacity(read_measured(), Plant(lines=7))["images_per_s"]
    assert steps["all_cores"] == 3 * steps["cores"]
    assert steps["money_per_year"] > 0
    assert ran.json["measured"]["inspection"]["core_ms_per_board"] > 0
    said = copperline("cluster", "capacity", "--lines", 7)
    assert "Measured on " in said.out
    assert "images a second, mean" in said.out


@pytest.mark.parametrize("wrong", [("--lines", "0"), ("--takt-seconds", "nan"), ("--measured", "missing.json")])
def test_a_capacity_that_cannot_be_ends_in_one_line(copperline: Callable[..., Any], wrong: tuple[str, str]) -> None:
    ran = copperline("cluster", "capacity", *wrong)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.count("\n") == 1


def test_a_cluster_that_is_not_there_ends_in_one_line(copperline: Callable[..., Any]) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    ran = copperline("cluster", "check", "--address", "127.0.0.1:1", "--timeout", 5)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: 127.0.0.1:1: expected a Ray cluster, found nothing that listens there")
    assert ran.err.count("\n") == 1
