"""What Kubernetes is given to run Ray with Copperline: a RayCluster or RayJob of KubeRay, closed to other pods.

Built as data and written as YAML, so that no name or command can become something else than text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from copperline.cluster.kubernetes_words import (
    require_command,
    require_image,
    require_label,
    require_memory,
    require_number,
    require_version,
)
from copperline.errors import SettingsError

# The operator makes pods and services whose names begin with these; it refuses longer ones.
_LONGEST_NAME = 47
_USER = 1000
_WORKSPACE = "/workspace"
_AGENT_PORT, _DASHBOARD_PORT = 52365, 8265
_INSTANCE = "app.kubernetes.io/instance"
_HEALTH = f"http://127.0.0.1:{_AGENT_PORT}/api/local_raylet_healthz"


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """What a cluster on Kubernetes is to be.

    Attributes:
        name: of the cluster or job, a DNS label.
        image: with the Ray and Copperline of `ray_version` and of whoever uses it; with a tag or digest.
        ray_version: of the image.
        namespace: it must exist.
        workers: pods at the start.
        cpus, memory, gpus: of each worker pod: whole cores, a quantity such as 8Gi, whole NVIDIA GPUs.
        head_cpus, head_memory: of the head, which does none of the work itself but runs the job's command.
        min_workers, max_workers: Ray adds and removes workers between them; None: there are always `workers`.
        secret: Secret whose keys become environment variables, such as AWS_ACCESS_KEY_ID; None: none.
        claim: PersistentVolumeClaim that is the workspace on all pods, so one that many can write; None: none.
        command: that a RayJob runs; None: a RayCluster.
        time_limit_s: after so many seconds Kubernetes ends the job.
    """

    name: str
    image: str
    ray_version: str
    namespace: str = "default"
    workers: int = 2
    cpus: int = 4
    memory: str = "8Gi"
    gpus: int = 0
    head_cpus: int = 2
    head_memory: str = "4Gi"
    min_workers: int | None = None
    max_workers: int | None = None
    secret: str | None = None
    claim: str | None = None
    command: str | None = None
    time_limit_s: int = 86_400

    def __post_init__(self) -> None:
        """Raises SettingsError for what Kubernetes or KubeRay would refuse, or take for something else."""
        require_label("name", self.name, _LONGEST_NAME)
        require_label("namespace", self.namespace)
        require_image(self.image)
        require_version(self.ray_version)
        require_number("workers", self.workers, 0, 10_000)
        require_number("cpus", self.cpus, 1, 1_024)
        require_number("gpus", self.gpus, 0, 64)
        require_number("head-cpus", self.head_cpus, 1, 1_024)
        require_number("time limit", self.time_limit_s, 1, 2**31 - 1)
        require_memory("memory", self.memory)
        require_memory("head-memory", self.head_memory)
        for name, value in (("secret", self.secret), ("claim", self.claim)):
            if value is not None:
                require_label(name, value)
        if self.command is not None:
            require_command(self.command)
        self._require_range()

    def _require_range(self) -> None:
        if (self.min_workers is None) != (self.max_workers is None):
            raise SettingsError("expected both --min and --max, found one of them", fix="give both, or neither")
        if self.min_workers is None or self.max_workers is None:
            return
        require_number("min", self.min_workers, 0, 10_000)
        require_number("max", self.max_workers, 1, 10_000)
        if not self.min_workers <= self.workers <= self.max_workers:
            raise SettingsError(
                f"expected --min <= --workers <= --max, found {self.min_workers}, {self.workers}, {self.max_workers}",
                fix="correct them",
            )

    @property
    def scales(self) -> bool:
        """Whether Ray adds and removes workers."""
        return self.min_workers is not None


def manifest(spec: ClusterSpec) -> str:
    """YAML for `kubectl apply -f`: the NetworkPolicy, and the RayCluster or RayJob."""
    import yaml  # here: each command line imports this package, and few write a manifest

    objects = [network_policy(spec), ray_cluster(spec) if spec.command is None else ray_job(spec)]
    return yaml.safe_dump_all(objects, sort_keys=False, explicit_start=True, width=120)


def ray_cluster(spec: ClusterSpec) -> dict[str, Any]:
    """The object of kind RayCluster, ray.io/v1."""
    return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": _metadata(spec), "spec": _cluster(spec)}


def ray_job(spec: ClusterSpec) -> dict[str, Any]:
    """The object of kind RayJob, ray.io/v1: a cluster for one command, removed five minutes after its end."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": _metadata(spec),
        "spec": {
            "entrypoint": spec.command,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": 300,
            "activeDeadlineSeconds": spec.time_limit_s,
            "rayClusterSpec": _cluster(spec),
            "submitterPodTemplate": _submitter(spec),
        },
    }


def network_policy(spec: ClusterSpec) -> dict[str, Any]:
    """Who reaches Ray's ports: the pods of this cluster, and KubeRay's operator the one that it asks the state at."""
    operator = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}},
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(spec),
        "spec": {
            "podSelector": {"matchLabels": {_INSTANCE: spec.name}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": {_INSTANCE: spec.name}}}]},
                {"from": [operator], "ports": [{"protocol": "TCP", "port": _DASHBOARD_PORT}]},
            ],
        },
    }


def _metadata(spec: ClusterSpec) -> dict[str, Any]:
    return {"name": spec.name, "namespace": spec.namespace, "labels": {_INSTANCE: spec.name}}


def _cluster(spec: ClusterSpec) -> dict[str, Any]:
    head = {
        "serviceType": "ClusterIP",
        # No CPUs for tasks: a task that takes the head's memory would take the whole cluster with it.
        "rayStartParams": {"num-cpus": "0"},
        "template": _pod(spec, "ray-head", spec.head_cpus, spec.head_memory, 0, account=spec.scales),
    }
    workers = {
        "groupName": "workers",
        "replicas": spec.workers,
        "minReplicas": spec.workers if spec.min_workers is None else spec.min_workers,
        "maxReplicas": spec.workers if spec.max_workers is None else spec.max_workers,
        "rayStartParams": {},
        "template": _pod(spec, "ray-worker", spec.cpus, spec.memory, spec.gpus, account=False),
    }
    scaling: dict[str, Any] = {}
    if spec.scales:
        options = {"idleTimeoutSeconds": 300, "securityContext": _container_security()}
        scaling = {"enableInTreeAutoscaling": True, "autoscalerOptions": options}
    return {
        "rayVersion": spec.ray_version,
        # The operator makes a token and gives it to all pods; without it, whoever reaches a port runs code.
        "authOptions": {"mode": "token"},
        **scaling,
        "headGroupSpec": head,
        "workerGroupSpecs": [workers],
    }


def _pod(spec: ClusterSpec, name: str, cpus: int, memory: str, gpus: int, *, account: bool) -> dict[str, Any]:
    """A pod template. `account`: the autoscaler beside the head speaks with Kubernetes; nothing else needs to."""
    resources: dict[str, Any] = {"cpu": cpus, "memory": memory}
    if gpus:
        resources["nvidia.com/gpu"] = gpus
    container: dict[str, Any] = {
        **_container(spec, name),
        "resources": {"requests": resources, "limits": dict(resources)},
        "livenessProbe": _probe(failures=12),
        "readinessProbe": _probe(failures=3),
    }
    pod: dict[str, Any] = {
        "automountServiceAccountToken": account,
        "securityContext": _pod_security(),
        "containers": [container],
    }
    if spec.claim is not None:
        container["volumeMounts"] = [{"name": "workspace", "mountPath": _WORKSPACE}]
        pod["volumes"] = [{"name": "workspace", "persistentVolumeClaim": {"claimName": spec.claim}}]
    return {"metadata": {"labels": {_INSTANCE: spec.name}}, "spec": pod}


def _submitter(spec: ClusterSpec) -> dict[str, Any]:
    """The pod that hands the command to the head and waits for it."""
    small = {"cpu": 1, "memory": "1Gi"}
    return {
        "metadata": {"labels": {_INSTANCE: spec.name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": _pod_security(),
            "containers": [
                {
                    "name": "ray-job-submitter",
                    "image": spec.image,
                    "securityContext": _container_security(),
                    "resources": {"requests": small, "limits": dict(small)},
                }
            ],
        },
    }


def _container(spec: ClusterSpec, name: str) -> dict[str, Any]:
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "HOME": "/tmp"}
    if spec.claim is not None:
        variables["COPPERLINE_WORKSPACE"] = _WORKSPACE
    container: dict[str, Any] = {
        "name": name,
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": _container_security(),
        "env": [{"name": key, "value": value} for key, value in variables.items()],
    }
    if spec.secret is not None:
        container["envFrom"] = [{"secretRef": {"name": spec.secret}}]
    return container


def _probe(failures: int) -> dict[str, Any]:
    """Ray's own answer whether this node is well. KubeRay's default asks with wget, which slim images have not."""
    ask = f"import urllib.request as u; assert b'success' in u.urlopen('{_HEALTH}', timeout=5).read()"
    return {
        "exec": {"command": ["python", "-c", ask]},
        "initialDelaySeconds": 30,
        "periodSeconds": 10,
        "timeoutSeconds": 10,
        "failureThreshold": failures,
    }


def _pod_security() -> dict[str, Any]:
    """What Kubernetes' Pod Security Standard `restricted` asks for."""
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container_security() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
