"""Describes variants: characteristics and suitability, from their files or as stated in config.pbtxt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from router_backend.config.repository import CONFIG_FILE, read_model_config, read_stated
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.variant import Variant
from router_backend.core.variants.device_fit import fit
from router_backend.errors import ConfigurationError
from router_backend.path_kind import REGULAR_FILE, path_kind

Analysis = Callable[[Path, str], ModelCharacteristics]
LARGEST_BYTES = 512 * 1024 * 1024
"""Larger files are not analyzed, to keep loading fast; a file whose weights are in other files is small."""


def describe(variants: Sequence[Variant], repository: Path, log_warn: Callable[[str], None]) -> list[Variant]:
    """Return the variants with their characteristics and suitability, as far as these are known.

    Raises:
        ConfigurationError: a config.pbtxt states an invalid characteristic.
    """
    files = {variant.name: _onnx_file(repository / variant.name) for variant in variants}
    analyze = _analysis(log_warn) if any(files.values()) else None
    found = {
        name: _analyze(analyze, name, file, log_warn)
        for name, file in files.items()
        if analyze is not None and file is not None
    }
    return [_describe(variant, repository / variant.name, found.get(variant.name)) for variant in variants]


def _describe(variant: Variant, folder: Path, found: ModelCharacteristics | None) -> Variant:
    parameters = read_model_config(folder).parameters
    texts = {key: value.string_value for key, value in parameters.items()}
    where = f"model '{variant.name}', {CONFIG_FILE}"
    stated = read_stated(where, texts)
    if found is None and not stated:
        return variant
    model = replace(found or ModelCharacteristics(variant.name), **stated)
    # What Triton has loaded can run, even if the analysis doubts it: only the priors are used here.
    suitability = replace(fit(model, variant.device), reason_out=None)
    return replace(variant, characteristics=model, suitability=suitability)


def _analysis(log_warn: Callable[[str], None]) -> Analysis | None:
    """Return the analysis of ONNX files; `None` if its package is missing or cannot be imported here."""
    try:
        from router_backend.analysis.onnx_analysis import analyze_onnx  # imports onnx, which is large
    except ImportError as error:
        log_warn(
            "the ONNX files of variants are not analyzed, so nothing is assumed of a variant before it is "
            f"measured ({error}): install the package 'onnx' in the Python of Triton"
        )
        return None
    return analyze_onnx


def _analyze(
    analyze: Analysis, name: str, file: Path, log_warn: Callable[[str], None]
) -> ModelCharacteristics | None:
    if path_kind(file) == REGULAR_FILE and file.stat().st_size > LARGEST_BYTES:
        return None
    try:
        return analyze(file, name)
    except ConfigurationError as error:
        log_warn(f"variant '{name}' is not analyzed: {error}")
        return None


def _onnx_file(folder: Path) -> Path | None:
    """Return the ONNX file of the newest version; `None` if there is none, or more than one."""
    versions = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    newest = max(versions, key=lambda path: int(path.name), default=None)
    files = [] if newest is None else sorted(newest.glob("*.onnx"))
    return files[0] if len(files) == 1 else None
