import pytest

from router_backend.core.records.variant import Device, Variant
from router_backend.errors import ConfigurationError


def test_a_variant_serves_one_request_at_a_time_by_default():
    variant = Variant("resnet50_cpu", Device.CPU)
    assert (variant.concurrency, variant.max_batch_size) == (1, 0)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("concurrency", 0, "at least 1"),
        ("concurrency", -1, "at least 1"),
        ("max_batch_size", -1, "0 (no batching) or more"),
    ],
)
def test_an_invalid_count_is_refused_with_variant_and_field(field, value, expected):
    with pytest.raises(ConfigurationError) as error:
        Variant("resnet50_cpu", Device.CPU, **{field: value})
    assert str(error.value) == f"variant 'resnet50_cpu': {field}: expected {expected}, found {value}"


def test_a_variant_without_batches_that_serves_one_at_a_time_is_valid():
    variant = Variant("resnet50_cpu", Device.CPU, concurrency=1, max_batch_size=0)
    assert (variant.concurrency, variant.max_batch_size) == (1, 0)


def test_devices_are_spelled_as_in_the_configuration():
    assert [device.value for device in Device] == ["cpu", "gpu", "neural_engine", "mps"]
