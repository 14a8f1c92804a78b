"""ONNX Runtime would tell its maker of each model that is loaded: here it does not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from copperline.registry import builtin_model

MODEL = str(builtin_model("golden-only").path)
LOAD = {
    "by itself": "import onnxruntime; session = onnxruntime.InferenceSession(sys.argv[1])",
    "here": "from copperline.runtime import OnnxModel; model = OnnxModel(sys.argv[1], threads=1)",
}
# It waits some nine seconds before it sends.
WAIT_S = 20.0


def listening() -> socket.socket:
    proxy = socket.create_server(("127.0.0.1", 0))
    proxy.settimeout(WAIT_S)
    return proxy


def loaded(how: str, proxy: socket.socket) -> subprocess.Popen[bytes]:
    """A process with a model, for which the whole network is behind the proxy."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        environment[name] = environment[name.upper()] = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    environment["no_proxy"] = environment["NO_PROXY"] = ""
    program = f"import sys, time; {LOAD[how]}; time.sleep({WAIT_S + 10})"
    return subprocess.Popen([sys.executable, "-c", program, MODEL], env=environment)


def test_a_model_that_is_loaded_tells_nobody() -> None:
    with listening() as proxy, listening() as other:
        ours, theirs = loaded("here", proxy), loaded("by itself", other)
        try:
            try:
                other.accept()[0].close()
            except TimeoutError:
                pytest.skip("this ONNX Runtime tells nobody by itself")
            proxy.settimeout(3.0)  # as long again, for a machine on which ours was slower
            with pytest.raises(TimeoutError):
                proxy.accept()
            assert ours.poll() is None, "it is still there, with its model"
        finally:
            ours.kill()
            theirs.kill()
            ours.wait()
            theirs.wait()
