"""Characteristics of variants, from their folders and their configuration."""

import builtins
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from router_backend.core.records.characteristics import Quantization
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.variants.device_fit import fit
from router_backend.errors import ConfigurationError, NoVariantError
from router_backend.runtime import variant_description
from router_backend.runtime.variant_description import describe
from tests.onnx_models import write_doubler

IMPORT = builtins.__import__


def described(
    repository: Path, parameters: dict[str, str] | None = None, device: Device = Device.GPU
) -> tuple[Variant, list[str]]:
    """Return the variant `m` with these parameters in its config.pbtxt, and the warnings."""
    folder = repository / "m"
    folder.mkdir(exist_ok=True)
    entries = [
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
        for key, value in (parameters or {}).items()
    ]
    (folder / "config.pbtxt").write_text("\n".join(entries))
    warned: list[str] = []
    (variant,) = describe([Variant("m", device)], repository, warned.append)
    return variant, warned


def test_the_file_of_the_newest_version_is_analyzed(tmp_path: Path) -> None:
    write_doubler(tmp_path / "m" / "2" / "model.onnx")
    (tmp_path / "m" / "10").mkdir()
    write_doubler(tmp_path / "m" / "10" / "mine.onnx", batch=1)
    variant, warned = described(tmp_path)
    assert variant.characteristics is not None
    assert variant.characteristics.operators == {"Add": 1}
    assert variant.suitability.power_w == 70.0
    assert warned == []


def test_a_variant_without_a_file_or_a_statement_stays_as_it_is(tmp_path: Path) -> None:
    assert described(tmp_path, {"device": "gpu"}) == (Variant("m", Device.GPU), [])


def test_with_two_files_none_is_analyzed(tmp_path: Path) -> None:
    for name in ("encoder", "decoder"):
        write_doubler(tmp_path / "m" / "1" / f"{name}.onnx")
    assert described(tmp_path)[0].characteristics is None


def test_a_broken_file_is_not_analyzed_and_logged_once(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.onnx").write_bytes(b"?")
    variant, (warning,) = described(tmp_path)
    assert variant.characteristics is None
    assert warning.startswith("variant 'm' is not analyzed: ")


def test_a_model_with_a_broken_node_is_not_analyzed_and_logged_once(tmp_path: Path) -> None:
    path = write_doubler(tmp_path / "m" / "1" / "model.onnx")
    model = onnx.load(path)
    model.graph.node[0].op_type = "LSTM"
    onnx.save(model, path)
    variant, (warning,) = described(tmp_path)
    assert variant.characteristics is None
    assert "expected at least 3 inputs, found 2" in warning


@pytest.mark.parametrize("target", ["/dev/zero", "nowhere"])
def test_a_link_to_no_regular_file_is_not_analyzed_and_logged_once(tmp_path: Path, target: str) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.onnx").symlink_to(target)
    variant, (warning,) = described(tmp_path)
    assert variant.characteristics is None
    assert "model.onnx: expected an ONNX file, found " in warning


def test_a_file_that_would_delay_loading_is_not_analyzed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_doubler(tmp_path / "m" / "1" / "model.onnx")
    monkeypatch.setattr(variant_description, "LARGEST_BYTES", 10)
    assert described(tmp_path)[0].characteristics is None


def broken_import(name: str, *others: Any) -> Any:
    if name.partition(".")[0] == "onnx":
        raise ImportError(f"no usable {name}")
    return IMPORT(name, *others)


def forget_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the analysis be imported again, as in a process that has not yet done so."""
    for name in [name for name in sys.modules if name.startswith(("onnx", "router_backend.analysis."))]:
        monkeypatch.delitem(sys.modules, name)


def test_a_load_without_the_package_says_once_that_nothing_is_analyzed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = [Variant(name, Device.GPU) for name in ("a", "b", "c")]
    for variant in variants:
        (tmp_path / variant.name).mkdir()
        (tmp_path / variant.name / "config.pbtxt").touch()
    warned: list[str] = []
    forget_analysis(monkeypatch)
    monkeypatch.setattr(builtins, "__import__", broken_import)
    assert describe(variants, tmp_path, warned.append) == variants
    assert warned == []  # there is nothing to analyze
    for name in ("a", "b"):
        write_doubler(tmp_path / name / "1" / "model.onnx")
    assert describe(variants, tmp_path, warned.append) == variants
    (warning,) = warned
    assert warning == (
        "the ONNX files of variants are not analyzed, so nothing is assumed of a variant before it is "
        "measured (no usable onnx): install the package 'onnx' in the Python of Triton"
    )


def test_stated_characteristics_override_analyzed_ones(tmp_path: Path) -> None:
    write_doubler(tmp_path / "m" / "1" / "model.onnx")
    variant, _ = described(tmp_path, {"macs": "1000000000", "quantization": "qdq, fp16"})
    model = variant.characteristics
    assert model is not None
    assert (model.macs, model.operators) == (10**9, {"Add": 1})
    assert model.quantization == {Quantization.QDQ, Quantization.FP16}
    assert (variant.suitability.per_item_ms or 0.0) > 0.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("macs", "many", "macs: expected a whole number of at least 0, found 'many'"),
        ("parameter_count", "-1", "parameter_count: expected a whole number of at least 0, found -1"),
        ("supports_mps", "yes", "supports_mps: expected true or false, found 'yes'"),
        ("quantization", "int3", "quantization[0]: expected one of qdq, qlinear, integer, fp16"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, key: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        described(tmp_path, {key: value})
    assert str(error.value).startswith(f"model 'm', config.pbtxt: {message}")


def test_the_analysis_excludes_no_variant_that_triton_has_loaded(tmp_path: Path) -> None:
    write_doubler(
        tmp_path / "m" / "1" / "model.onnx"
    )  # its width is dynamic, which a Neural Engine does not support
    variant, _ = described(tmp_path, {"execution_provider": "CoreMLExecutionProvider"}, Device.NEURAL_ENGINE)
    assert fit(variant.characteristics, variant.device).reason_out is not None  # type: ignore[arg-type]
    assert variant.suitability.reason_out is None
    assert variant.suitability.power_w == 8.0


def test_a_variant_that_is_stated_not_to_run_there_is_excluded(tmp_path: Path) -> None:
    variant, _ = described(tmp_path, {"supports_neural_engine": "false"}, Device.NEURAL_ENGINE)
    router = ModelRouter()
    router.register_model("m", variants=[variant])
    with pytest.raises(NoVariantError, match="the model is stated not to run on neural_engine"):
        router.route_request("m", RoutingContext())
