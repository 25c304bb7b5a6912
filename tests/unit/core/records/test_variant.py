import pytest

from router_backend.core.records.variant import Device, Variant
from router_backend.errors import ConfigurationError


def test_a_variant_serves_one_request_at_a_time_by_default():
    variant = Variant("resnet50_cpu", Device.CPU)
    assert (variant.concurrency, variant.max_batch_size) == (1, 0)


@pytest.mark.parametrize(
    ("field", "value"), [("concurrency", 0), ("concurrency", -1), ("max_batch_size", -1)]
)
def test_an_invalid_count_is_refused_with_variant_and_field(field, value):
    with pytest.raises(
        ConfigurationError, match=rf"variant 'resnet50_cpu': {field}: expected .*found {value}"
    ):
        Variant("resnet50_cpu", Device.CPU, **{field: value})


def test_a_variant_without_batches_that_serves_one_at_a_time_is_valid():
    variant = Variant("resnet50_cpu", Device.CPU, concurrency=1, max_batch_size=0)
    assert (variant.concurrency, variant.max_batch_size) == (1, 0)


def test_devices_are_spelled_as_in_the_configuration():
    assert [device.value for device in Device] == ["cpu", "gpu", "neural_engine", "mps"]
