"""Checks of a model's folder: a version, the model's file, and the parameters of this project's executors."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format

from router_backend.config.repository import CONFIG_FILE, ROUTER_BACKEND
from router_backend.errors import ConfigurationError, Problems, nearest, require
from router_backend.executors import emulated_settings, onnx_settings, remote_settings
from router_backend.executors.linear_layer import LinearLayer
from router_backend.path_kind import FOLDER, NO_SUCH_FILE, decode_text, path_kind, read_bytes
from router_tools.config_check.onnx_file import check_onnx_file

MODEL_FILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "onnxruntime": ("model.onnx",),
        "tensorrt": ("model.plan",),
        "pytorch": ("model.pt",),
        "tensorflow": ("model.savedmodel", "model.graphdef"),
        "openvino": ("model.xml",),
        "python": ("model.py",),
        "vllm": ("model.json",),
    }
)
"""What backends load from a version's folder if config.pbtxt names nothing else; others are not checked."""
BACKEND_OF_PLATFORM = MappingProxyType(
    {
        "onnxruntime_onnx": "onnxruntime",
        "tensorrt_plan": "tensorrt",
        "pytorch_libtorch": "pytorch",
        "tensorflow_savedmodel": "tensorflow",
        "tensorflow_graphdef": "tensorflow",
    }
)
BACKENDS = (ROUTER_BACKEND, *MODEL_FILES, "dali", "fil", "identity", "repeat", "square", "tensorrtllm")
SIMILAR = 0.8
"""From this ratio of `difflib` on, a name is taken for a misspelled one."""
RUNTIMES = ("model.py", "libtriton_router_backend.so")
"""What `runtime` of a router may name: the Python host and the native one."""
EXECUTOR = re.compile(r"^\s*(?:from|import)\s+router_backend\.executors\.(\w+)", re.MULTILINE)
PARSERS: Mapping[str, Callable[[Mapping[str, str]], object]] = MappingProxyType(
    {
        "onnx_runtime": onnx_settings.parse_settings,
        "emulated_device": emulated_settings.parse_settings,
        "remote": partial(remote_settings.parse_settings, variant=""),
    }
)
"""What reads the parameters of an executor, by its module."""


def check_model_folder(folder: Path, config: Any) -> None:
    """Check what Triton or this project's executors need to load a model.

    Args:
        folder: the model's folder.
        config: its `inference.ModelConfig` message.

    Raises:
        ConfigurationError: everything that is wrong.
    """
    where = f"model '{folder.name}'"
    problems = Problems()
    versions: list[Path] = []
    with problems.collect(f"{where}, {CONFIG_FILE}"):
        _check_name(folder.name, config.name)
    with problems.collect(f"{where}, {CONFIG_FILE}"):
        _check_runtime(config)
    with problems.collect(where):
        versions = _served_versions(folder, config)
    for version in versions:
        with problems.collect(where):
            _check_model_file(version, config)
    problems.raise_if_any()


def _check_name(folder_name: str, name: str) -> None:
    expected = f"'{folder_name}', the name of the folder"
    require(name in ("", folder_name), "name", expected, f"'{name}'", fix="write it, or leave it out")


def _check_runtime(config: Any) -> None:
    """Check which host a router asks for; other backends have files that are unknown here."""
    runtime = getattr(config, "runtime", "")
    if config.backend == ROUTER_BACKEND and runtime and runtime not in RUNTIMES:
        raise ConfigurationError(
            path="runtime",
            expected=f"one of {', '.join(RUNTIMES)}",
            found=f"'{runtime}'",
            hint=nearest(runtime, RUNTIMES),
            fix="write it, or leave it out",
        )


def likely_backend(name: str) -> str:
    """Return the known backend that a name is a misspelling of; nothing if it is known or unlike all."""
    similar = difflib.get_close_matches(name, BACKENDS, n=1, cutoff=SIMILAR)
    return similar[0] if similar and name not in BACKENDS else ""


def _served_versions(folder: Path, config: Any) -> list[Path]:
    """Return the folders of the versions that Triton loads.

    Raises:
        ConfigurationError: there is none.
    """
    versions = {path for path in folder.iterdir() if path.name.isdecimal() and path_kind(path) == FOLDER}
    policy = config.version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "specific":
        versions = {folder / str(each) for each in policy.specific.versions}
        missing = [path.name for path in sorted(versions) if path_kind(path) != FOLDER]
        if missing:
            raise ConfigurationError(
                path="version_policy.specific",
                expected="versions with a folder beside config.pbtxt",
                found=f"none for {', '.join(missing)}",
                fix="add it, or do not name it",
            )
    if not versions:
        expected, fix = (
            "a folder '1' beside config.pbtxt",
            "add it, with a file in it, since git drops empty ones",
        )
        raise ConfigurationError(expected=expected, found="none", fix=fix)
    newest_last = sorted(versions, key=lambda path: int(path.name))
    return newest_last if kind in ("all", "specific") else newest_last[-(policy.latest.num_versions or 1) :]


def _check_model_file(version: Path, config: Any) -> None:
    """Check the file that the backend loads, and what the executor in it says of its parameters."""
    backend = config.backend or BACKEND_OF_PLATFORM.get(config.platform, "")
    if config.cc_model_filenames or getattr(config, "runtime", ""):
        return
    named = config.default_model_filename
    names = (named,) if named and backend else MODEL_FILES.get(backend, ())
    fix = f"add it, or name another in default_model_filename of {CONFIG_FILE}"
    _require_one(version, names, f"which the backend '{backend}' loads", fix)
    if backend == "python":
        _check_executor(version, version / names[0], config)
    elif backend == "onnxruntime":
        check_onnx_file(version / names[0], config)


def _check_executor(version: Path, code: Path, config: Any) -> None:
    """Check the parameters of an executor of this project as it does when it is loaded, and its file."""
    executor = next(_executors(code), None)
    if executor is None:
        return
    settings = PARSERS[executor]({key: value.string_value for key, value in config.parameters.items()})
    if isinstance(settings, onnx_settings.OnnxSettings):
        fix = "add it, or name another in the parameter onnx_file"
        _require_one(version, (settings.onnx_file,), "which the ONNX executor loads", fix)
        check_onnx_file(version / settings.onnx_file, config)
    if isinstance(settings, emulated_settings.EmulatedSettings):
        LinearLayer(_members(config))


def _members(config: Any) -> dict[str, Any]:
    """Return batching and tensors of a configuration as Triton gives them to a Python model."""
    members = json_format.MessageToDict(config, preserving_proto_field_name=True)
    tensors = {
        kind: [{**each, "dims": list(map(int, each.get("dims", ())))} for each in members.get(kind, ())]
        for kind in ("input", "output")
    }
    return {"max_batch_size": config.max_batch_size, **tensors}


def _executors(code: Path) -> Iterator[str]:
    text = decode_text(str(code), read_bytes(code, "the code of a Python model"))
    return (name for name in EXECUTOR.findall(text) if name in PARSERS)


def _require_one(version: Path, names: tuple[str, ...], why: str, fix: str) -> None:
    if not names or any(path_kind(version / name) != NO_SUCH_FILE for name in names):
        return
    others = sorted(path.name for path in version.iterdir() if not path.name.startswith("."))
    raise ConfigurationError(
        expected=f"the file {' or '.join(f'{version.name}/{name}' for name in names)}, {why}",
        found=", ".join(others) or "an empty folder",
        hint=nearest(names[0], [each for each in others if Path(each).suffix == Path(names[0]).suffix]),
        fix=fix,
    )
