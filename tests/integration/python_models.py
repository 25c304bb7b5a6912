"""Minimal models of Triton's Python backend, for tests of the server itself."""

from pathlib import Path

_CONFIG = """
backend: "python"
input [ { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
instance_group [ { kind: KIND_CPU } ]
"""

IDENTITY = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(request, "IN").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", tensor)]) for tensor in tensors]

    def finalize(self):
        print("identity is finalized", flush=True)
"""

BROKEN = "raise RuntimeError('broken needs a device that is not here')"

ENDLESS = """
import time

class TritonPythonModel:
    def initialize(self, args):
        time.sleep(600)
"""

SLEEPER = """
import time
from pathlib import Path

class TritonPythonModel:
    def execute(self, requests):
        Path(__file__).with_name("busy").touch()
        time.sleep(600)
"""


def add_model(repository: Path, name: str, source: str) -> None:
    """Add a Python model with one FP32 input, IN, and one output, OUT, of any length, without batches."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(_CONFIG)
    (version / "model.py").write_text(source)
