"""Suitability of models for devices, and priors of their cost."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.variants.coreml_operators import FOLDED, SUPPORTED
from router_backend.core.variants.device_fit import EFFICIENCY, fit
from router_backend.core.variants.devices import FIGURES

RESNET50 = ModelCharacteristics(
    "resnet50",
    parameter_count=25_557_033,
    parameter_bytes=102_228_132,
    macs=4_089_184_256,
    activation_bytes=150_251_328,
    operators={"Conv": 53, "BatchNormalization": 53, "Relu": 49, "MaxPool": 1},
)
APPLE = (Device.NEURAL_ENGINE, Device.MPS)


def test_every_device_has_figures_and_fits_a_plain_model() -> None:
    assert [fit(RESNET50, device).reason_out for device in Device] == [None] * len(Device)
    assert list(FIGURES) == list(Device)


def test_a_model_of_images_fits_every_device() -> None:
    images = replace(RESNET50, spatial_dimensions=2)
    assert {fit(images, device).reason_out for device in Device} == {None}


def test_the_prior_is_the_roofline() -> None:
    figures = FIGURES[Device.GPU]
    prior = fit(RESNET50, Device.GPU)
    computing_ms = 2 * 4_089_184_256 / figures.fp32_flops / EFFICIENCY * 1e3
    moving_ms = 150_251_328 / figures.memory_bytes_per_s / EFFICIENCY * 1e3
    reading_ms = 102_228_132 / figures.memory_bytes_per_s / EFFICIENCY * 1e3
    assert prior.per_item_ms == pytest.approx(max(computing_ms, moving_ms))
    assert prior.fixed_ms == pytest.approx(figures.overhead_ms + reading_ms)
    assert prior.memory_mb == pytest.approx(252.48, rel=1e-3)
    assert prior.power_w == 70.0


def test_the_published_time_of_resnet_50_on_a_t4_is_within_a_factor_of_three() -> None:
    """NVIDIA DeepLearningExamples: 3.0 ms for 1 image and 28.4 ms for 32, in half precision."""
    prior = fit(replace(RESNET50, quantization=frozenset({Quantization.FP16})), Device.GPU)
    assert prior.fixed_ms is not None
    assert prior.per_item_ms is not None
    for batch_size, published_ms in ((1, 3.0), (32, 28.4)):
        guessed_ms = prior.fixed_ms + prior.per_item_ms * batch_size
        assert published_ms / 3 < guessed_ms < published_ms * 3


@pytest.mark.parametrize("kind", [Quantization.FP16, Quantization.QDQ])
def test_reduced_numbers_are_computed_faster_where_the_device_can(kind: Quantization) -> None:
    work = replace(RESNET50, activation_bytes=0)
    full, reduced = fit(work, Device.GPU), fit(replace(work, quantization=frozenset({kind})), Device.GPU)
    assert (reduced.per_item_ms or 0) < (full.per_item_ms or 0) / 7


@pytest.mark.parametrize("device", APPLE)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"operators": {"Conv": 1, "NonMaxSuppression": 1}}, "uses NonMaxSuppression, which"),
        ({"operators": dict.fromkeys(["A1", "A2", "A3"], 1)}, "uses A1, A2, A3, which"),
        ({"operators": dict.fromkeys(["A1", "A2", "A3", "A4"], 1)}, "uses A1, A2, A3 and 1 more, which"),
        ({"operators": {"If": 1}, "control_flow": ("If", "Loop")}, "uses If, Loop, which"),
        ({"spatial_dimensions": 3}, "layers have 3 dimensions, "),
        ({"quantization": frozenset({Quantization.BF16})}, "numbers are bf16, which"),
    ],
)
def test_features_that_coreml_lacks_exclude_only_its_devices(
    device: Device, change: dict[str, object], reason: str
) -> None:
    model = replace(RESNET50, **change)  # type: ignore[arg-type]
    assert reason in (fit(model, device).reason_out or "")
    assert fit(model, Device.GPU).reason_out is None
    assert fit(model, Device.CPU).reason_out is None


def test_the_neural_engine_wants_fixed_shapes() -> None:
    model = replace(RESNET50, dynamic_dimensions=("images[2]", "images[3]"))
    assert fit(model, Device.NEURAL_ENGINE).reason_out == (
        "the model's images[2], images[3] is dynamic, neural_engine needs fixed ones"
    )
    assert fit(model, Device.MPS).reason_out is None


def test_declared_support_overrides_the_analysis() -> None:
    model = replace(RESNET50, operators={"Strange": 1}, supports_mps=True)
    assert fit(model, Device.MPS).reason_out is None
    assert fit(model, Device.NEURAL_ENGINE).reason_out is not None


def test_a_model_that_exceeds_the_memory_of_the_device_does_not_fit() -> None:
    assert fit(RESNET50, Device.CPU, memory_mb=200.0).reason_out == "the model needs 252 MB, cpu has 200 MB"
    needed_mb = fit(RESNET50, Device.CPU).memory_mb
    assert fit(RESNET50, Device.CPU, memory_mb=needed_mb).reason_out is None


@pytest.mark.parametrize(
    ("kinds", "bits"),
    [
        ((), 32),
        (("fp16",), 16),
        (("bf16",), 16),
        (("int8_weights",), 8),
        (("qdq",), 8),
        (("integer", "fp16"), 8),
        (("int4_weights", "fp16"), 4),
    ],
)
def test_the_size_of_the_weights_follows_from_their_number_and_quantization(
    kinds: tuple[str, ...], bits: int
) -> None:
    known = frozenset(map(Quantization, kinds))
    model = ModelCharacteristics("m", parameter_count=8_000_000, quantization=known)
    stated = replace(model, parameter_bytes=bits * 1_000_000)
    assert fit(model, Device.CPU) == fit(stated, Device.CPU)
    assert fit(model, Device.CPU).memory_mb == bits


def test_unknown_work_is_at_least_one_use_of_each_weight() -> None:
    model = ModelCharacteristics("m", parameter_count=10**9)
    assert fit(model, Device.CPU) == fit(replace(model, macs=10**9), Device.CPU)
    assert fit(replace(model, macs=0), Device.CPU).per_item_ms is None


@pytest.mark.parametrize("kind", [Quantization.INT8_WEIGHTS, Quantization.INT4_WEIGHTS])
def test_reduced_weights_alone_are_not_computed_faster(kind: Quantization) -> None:
    full = fit(RESNET50, Device.GPU)
    assert fit(replace(RESNET50, quantization=frozenset({kind})), Device.GPU) == full


def test_there_is_no_prior_if_the_work_and_the_weights_are_unknown() -> None:
    prior = fit(ModelCharacteristics("m"), Device.CPU)
    assert (prior.fixed_ms, prior.per_item_ms, prior.memory_mb) == (None, None, None)


def test_the_lists_of_operators_do_not_overlap() -> None:
    assert not SUPPORTED & FOLDED


COUNTS = st.integers(0, 10**13)


@given(COUNTS, COUNTS, COUNTS, st.sampled_from(Device), st.sampled_from([None, *Quantization]))
def test_a_prior_is_finite_above_the_overhead_and_grows_with_the_work(
    parameter_bytes: int, macs: int, activation_bytes: int, device: Device, kind: Quantization | None
) -> None:
    model = ModelCharacteristics(
        "m",
        parameter_bytes=parameter_bytes,
        macs=macs,
        activation_bytes=activation_bytes,
        quantization=frozenset({kind} if kind else ()),
    )
    prior = fit(model, device)
    more = fit(replace(model, macs=macs + 10**9, parameter_bytes=parameter_bytes + 10**6), device)
    if prior.fixed_ms is not None and prior.per_item_ms is not None:
        assert math.isfinite(prior.fixed_ms + prior.per_item_ms)
        assert prior.fixed_ms >= FIGURES[device].overhead_ms
        assert (more.fixed_ms or 0.0) >= prior.fixed_ms
        assert (more.per_item_ms or 0.0) >= prior.per_item_ms


def test_the_first_request_goes_where_the_roofline_says() -> None:
    variants = [
        Variant(f"m_{device.value}", device, suitability=fit(RESNET50, device))
        for device in (Device.CPU, Device.MPS, Device.GPU)
    ]
    router = ModelRouter(clock=lambda: 0.0)
    router.register_model("m", variants=variants)
    decision = router.route_request("m", RoutingContext())
    assert decision.variant == "m_gpu"
    assert decision.expected_latency_ms == pytest.approx(
        (variants[2].suitability.fixed_ms or 0) + (variants[2].suitability.per_item_ms or 0)
    )
