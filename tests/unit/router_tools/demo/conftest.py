from pathlib import Path

import pytest

from router_tools.demo.architecture import SQUEEZENET
from router_tools.demo.recipe import make_fp32, make_int8


@pytest.fixture(scope="session")
def squeezenet_fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fp32") / "squeezenet.onnx"
    make_fp32(SQUEEZENET, path)
    return path


@pytest.fixture(scope="session")
def squeezenet_int8(squeezenet_fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "squeezenet.onnx"
    make_int8(squeezenet_fp32, path)
    return path
