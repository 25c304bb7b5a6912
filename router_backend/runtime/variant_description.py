"""Describes variants: characteristics and suitability, from their files or as stated in config.pbtxt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from router_backend.config.repository import CONFIG_FILE, read_model_config, read_stated
from router_backend.core.priors.device_fit import fit
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.variant import Variant
from router_backend.errors import ConfigurationError
from router_backend.path_kind import REGULAR_FILE, path_kind

LARGEST_BYTES = 512 * 1024 * 1024
"""Larger files are not analyzed, to keep loading fast; a file whose weights are in other files is small."""


def describe(variants: Sequence[Variant], repository: Path, log_warn: Callable[[str], None]) -> list[Variant]:
    """Return the variants with their characteristics and suitability, as far as these are known.

    Raises:
        ConfigurationError: a config.pbtxt states an invalid characteristic.
    """
    return [_describe(variant, repository / variant.name, log_warn) for variant in variants]


def _describe(variant: Variant, folder: Path, log_warn: Callable[[str], None]) -> Variant:
    parameters = read_model_config(folder).parameters
    texts = {key: value.string_value for key, value in parameters.items()}
    where = f"model '{variant.name}', {CONFIG_FILE}"
    stated = read_stated(where, texts)
    found = _analyze(variant.name, folder, log_warn)
    if found is None and not stated:
        return variant
    model = replace(found or ModelCharacteristics(variant.name), **stated)
    # What Triton has loaded can run, even if the analysis doubts it: only the priors are used here.
    suitability = replace(fit(model, variant.device), reason_out=None)
    return replace(variant, characteristics=model, suitability=suitability)


def _analyze(name: str, folder: Path, log_warn: Callable[[str], None]) -> ModelCharacteristics | None:
    file = _onnx_file(folder)
    if file is None or find_spec("onnx") is None:
        return None
    if path_kind(file) == REGULAR_FILE and file.stat().st_size > LARGEST_BYTES:
        return None
    from router_backend.analysis.onnx_analysis import analyze_onnx  # imports onnx, which is large

    try:
        return analyze_onnx(file, name)
    except ConfigurationError as error:
        log_warn(f"variant '{name}' is not analyzed: {error}")
        return None


def _onnx_file(folder: Path) -> Path | None:
    """Return the ONNX file of the newest version; `None` if there is none, or more than one."""
    versions = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    newest = max(versions, key=lambda path: int(path.name), default=None)
    files = [] if newest is None else sorted(newest.glob("*.onnx"))
    return files[0] if len(files) == 1 else None
