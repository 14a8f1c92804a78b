"""What we render of KubeRay's RayCluster and RayJob, field by field, with nothing else allowed.

After KubeRay's types of ray.io/v1 (ray-operator/apis/ray/v1). Pod templates are checked against Kubernetes' own schema.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(_Strict):
    name: str
    namespace: str
    labels: dict[str, str]


class HeadGroup(_Strict):
    serviceType: Literal["ClusterIP"]  # noqa: N815
    rayStartParams: dict[str, str]  # noqa: N815
    template: dict[str, Any]


class WorkerGroup(_Strict):
    groupName: str  # noqa: N815
    replicas: int = Field(ge=0, lt=2**31)
    minReplicas: int = Field(ge=0, lt=2**31)  # noqa: N815
    maxReplicas: int = Field(ge=0, lt=2**31)  # noqa: N815
    rayStartParams: dict[str, str]  # noqa: N815
    template: dict[str, Any]


class AuthOptions(_Strict):
    mode: Literal["token"]


class AutoscalerOptions(_Strict):
    idleTimeoutSeconds: int = Field(ge=0, lt=2**31)  # noqa: N815
    securityContext: dict[str, Any]  # noqa: N815


class RayClusterSpec(_Strict):
    rayVersion: str  # noqa: N815
    authOptions: AuthOptions  # noqa: N815
    enableInTreeAutoscaling: bool | None = None  # noqa: N815
    autoscalerOptions: AutoscalerOptions | None = None  # noqa: N815
    headGroupSpec: HeadGroup  # noqa: N815
    workerGroupSpecs: list[WorkerGroup] = Field(min_length=1)  # noqa: N815


class RayJobSpec(_Strict):
    entrypoint: str = Field(min_length=1)
    shutdownAfterJobFinishes: bool  # noqa: N815
    ttlSecondsAfterFinished: int = Field(ge=0, lt=2**31)  # noqa: N815
    activeDeadlineSeconds: int = Field(ge=1, lt=2**31)  # noqa: N815
    rayClusterSpec: RayClusterSpec  # noqa: N815
    submitterPodTemplate: dict[str, Any]  # noqa: N815


class RayCluster(_Strict):
    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: RayClusterSpec


class RayJob(_Strict):
    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec
