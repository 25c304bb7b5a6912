"""The variants and routers that lie in git, held against the recipe and the executor."""

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from router_backend.core.records.variant import Device
from router_backend.executors.onnx_settings import parse_settings
from router_tools.demo.architecture import ARCHITECTURES
from router_tools.demo.repository import TEMPLATE, variant_names

NAMES = [architecture.name for architecture in ARCHITECTURES]
VARIANTS = [name for architecture in NAMES for name in variant_names(architecture)]


def config_of(model: str) -> ModelConfig:
    return text_format.Parse((TEMPLATE / model / "config.pbtxt").read_text(), ModelConfig())


def parameters_of(model: str) -> dict[str, str]:
    return {key: value.string_value for key, value in config_of(model).parameters.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_router_names_all_variants_of_its_model(name: str) -> None:
    assert parameters_of(name) == {"variants": ",".join(variant_names(name))}
    assert config_of(name).backend == "router_backend"
    assert (TEMPLATE / name / "1").is_dir()


@pytest.mark.parametrize("name", VARIANTS)
def test_the_executor_takes_the_parameters_of_every_variant(name: str) -> None:
    parameters = parameters_of(name)
    settings = parse_settings(parameters)
    assert Device(parameters["device"]) in settings.provider.devices
    assert Device(parameters["device"]).value in name


@pytest.mark.parametrize("name", VARIANTS)
def test_all_variants_have_the_same_face(name: str) -> None:
    config = config_of(name)
    assert config.max_batch_size == 32
    assert [(each.name, list(each.dims)) for each in config.input] == [("images", [3, 224, 224])]
    assert [(each.name, list(each.dims)) for each in config.output] == [("probabilities", [1000])]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variants_code_is_an_import_of_the_executor(name: str) -> None:
    code = (TEMPLATE / name / "1" / "model.py").read_text()
    assert "from router_backend.executors.onnx_runtime import TritonPythonModel" in code
