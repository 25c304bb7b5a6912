"""Reads a model's config.pbtxt with Triton's own schema."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import text_format

from router_backend.path_kind import decode_text, read_bytes
from router_backend.errors import ConfigurationError

CONFIG_FILE = "config.pbtxt"


def read_model_config(model_folder: Path) -> Any:
    """The `inference.ModelConfig` message in a model's folder.

    Raises:
        ConfigurationError: there is no config.pbtxt that can be read, or it does not follow the schema.
    """
    path = model_folder / CONFIG_FILE
    text = decode_text(str(path), read_bytes(path, "a model configuration"))
    try:
        return text_format.Parse(text, _schema().ModelConfig())
    except text_format.ParseError as error:
        raise ConfigurationError(
            where=str(path), expected="a model configuration", found=f"an error: {error}"
        ) from None


@cache
def _schema() -> ModuleType:
    """`model_config_pb2` of tritonclient, without the gRPC client around it.

    Importing it as `tritonclient.grpc.model_config_pb2` would bring gRPC along: 50 MB in every router
    process, for one class.
    """
    package = importlib.util.find_spec("tritonclient")
    if package is None or not package.submodule_search_locations:
        raise ConfigurationError(
            expected="the package 'tritonclient', which has the schema of config.pbtxt",
            found="none",
            fix="pip install tritonclient",
        )
    path = Path(package.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("router_backend_model_config_pb2", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigurationError(where=str(path), expected="the schema of config.pbtxt", found="no such file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
