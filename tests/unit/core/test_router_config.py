import math

import pytest

from router_backend.core.policies.registry import POLICIES
from router_backend.core.records.variant import Device
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError


def test_the_default_is_a_known_policy():
    assert ModelSettings().policy in POLICIES


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(
        ConfigurationError, match=r"expected one of the policies .*latency.*, found 'latencyy'"
    ):
        ModelSettings(policy="latencyy")


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
def test_a_coverage_outside_of_0_to_1_is_refused(coverage):
    with pytest.raises(
        ConfigurationError, match=f"^coverage: expected a number between 0 and 1, found {coverage}$"
    ):
        ModelSettings(coverage=coverage)


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_a_weight_that_is_not_above_zero_is_refused(weight):
    with pytest.raises(ConfigurationError) as error:
        ModelSettings(device_weights={Device.GPU: weight})
    assert str(error.value) == (
        f"device_weights.gpu: expected a number above 0, found {weight}; "
        "1 is neutral, 2 prefers the device twice as much"
    )


@pytest.mark.parametrize("deadline_ms", [0.0, -1.0, math.nan, math.inf])
def test_a_deadline_that_is_not_above_zero_is_refused(deadline_ms):
    with pytest.raises(
        ConfigurationError, match=f"^max_latency_ms: expected a number above 0, found {deadline_ms}$"
    ):
        ModelSettings(max_latency_ms=deadline_ms)


def test_a_parameter_that_the_policy_does_not_take_is_refused():
    with pytest.raises(
        ConfigurationError, match="policy 'round_robin': parameters: expected none, found 'eta'"
    ):
        ModelSettings(policy="round_robin", policy_parameters={"eta": "2"})


@pytest.mark.parametrize(("weight", "counts_as"), [(5e-324, 1e-6), (1e300, 1e6), (1e-6, 1e-6), (3.0, 3.0)])
def test_a_weight_counts_within_limits(weight, counts_as):
    """Beyond them, a cost divided by the weight would be infinite."""
    assert ModelSettings(device_weights={Device.GPU: weight}).weight(Device.GPU) == counts_as
