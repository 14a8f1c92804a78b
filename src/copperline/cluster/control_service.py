"""Asks the control service (GCS) of a cluster what it is, in a process of its own: `python -m` this, ADDRESS SECONDS.

Ray's client of it waits in C++, where no limit of ours reaches, and writes to stderr as it likes.
"""

from __future__ import annotations

import json
import subprocess
import sys

from copperline.cluster.failures import no_token
from copperline.cluster.nodes import Versions
from copperline.errors import ClusterError

_NOT_RAY = "give the address that `ray start --head` printed; for a cluster with TLS set RAY_USE_TLS=1 and its keys"


def not_ray(address: str, found: str) -> ClusterError:
    """Of what listens there and is no head of Ray."""
    return ClusterError(
        f"expected the head of a Ray cluster, found something else ({found})", where=address, fix=_NOT_RAY
    )


def ask_versions_of_head(address: str, timeout_s: float) -> Versions:
    """The versions of the cluster there, which this machine is a node of.

    Raises:
        ClusterError: it does not answer in time, asks for a token, or no node of it runs on this machine.
    """
    command = [sys.executable, "-m", "copperline.cluster.control_service", address, str(timeout_s)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
        told = json.loads(ran.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise not_ray(address, f"no answer within {timeout_s:.0f} s") from error
    except (IndexError, ValueError) as error:
        last = next(reversed(ran.stderr.split("\n")[:-1]), "no answer")
        raise not_ray(address, last.strip()) from error
    if told["problem"] == "token":
        raise no_token(address)
    if told["problem"] is not None:
        raise not_ray(address, told["problem"])
    if not told["here"]:
        raise ClusterError(
            "expected this machine to be a node of the cluster, found that it is none",
            where=address,
            fix=f"join it with `ray start --address={address} --num-cpus=0`, or hand the command in with "
            "`ray job submit`",
        )
    return Versions(told["python"], told["ray"], None)


def _ask(address: str, timeout_s: float) -> dict[str, object]:
    from ray._private import services
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError, RaySystemError, RpcError

    try:
        client = GcsClient(address=address)
        stored = client.internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster", timeout=timeout_s)
        nodes = {node_id.hex() for node_id in client.get_all_node_info(timeout=timeout_s)}
    except AuthenticationError:
        return {"problem": "token"}
    except (RpcError, RaySystemError) as error:
        return {"problem": str(error).partition("\n")[0].strip().rstrip(".") or type(error).__name__}
    if stored is None:
        return {"problem": "it has no versions stored"}
    versions = json.loads(stored)
    here: set[str] = services.find_node_ids()  # type: ignore[no-untyped-call]
    return {
        "problem": None,
        "ray": versions["ray_version"],
        "python": versions["python_version"],
        "here": bool(nodes & here),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_ask(sys.argv[1], float(sys.argv[2]))) + "\n")
