import pytest

from router_backend.core.policies import registry
from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.registry import POLICIES, create_policy, new_policy, register_policies
from router_backend.errors import ConfigurationError


def test_the_latency_policy_is_registered_by_its_name():
    assert POLICIES["latency"] is LatencyOptimizedPolicy


def test_the_registry_cannot_be_changed_from_outside():
    with pytest.raises(TypeError):
        POLICIES["mine"] = LatencyOptimizedPolicy


def test_a_policy_is_available_by_its_name_until_another_one_replaces_it(monkeypatch):
    class First(LatencyOptimizedPolicy):
        name = "mine"

    class Second(LatencyOptimizedPolicy):
        name = "mine"

    monkeypatch.setattr(registry, "_POLICIES", known := dict(POLICIES))
    monkeypatch.setattr(registry, "POLICIES", known)
    for policy in (First, Second):
        register_policies(policy)
        assert type(create_policy("mine")) is policy
    assert type(create_policy("latency")) is LatencyOptimizedPolicy


def test_each_model_gets_a_new_policy_object():
    one, other = create_policy("latency"), create_policy("latency")
    assert type(one) is type(other) is LatencyOptimizedPolicy
    assert one is not other


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        ConfigurationError,
        match=r"^expected one of the policies .*latency.*, found 'latancy' \(did you mean 'latency'\?\)$",
    ):
        create_policy("latancy")


def test_an_argument_that_the_policy_does_not_take_is_refused():
    with pytest.raises(ConfigurationError) as error:
        create_policy("latency:gpu")
    assert str(error.value) == "policy 'latency': expected 'latency' alone, found 'latency:gpu'"


@pytest.mark.parametrize(
    ("source", "parameters", "message"),
    [
        (
            LatencyOptimizedPolicy(),
            {},
            "expected a policy name, a Policy subclass or a factory, since each model needs its own policy, "
            "found an object of LatencyOptimizedPolicy; pass the class LatencyOptimizedPolicy",
        ),
        (
            lambda: LatencyOptimizedPolicy(),
            {"a": "1", "b": "2"},
            "expected no parameters beside a factory, found 'a', 'b'; "
            "pass them to the policy inside the factory",
        ),
        (3, {}, "expected a policy name, a Policy subclass or a factory, found 3"),
        (lambda: 3, {}, "expected a policy name, a Policy subclass or a factory, found 3"),
    ],
)
def test_what_makes_no_policy_is_refused(source, parameters, message):
    with pytest.raises(ConfigurationError) as error:
        new_policy(source, parameters)
    assert str(error.value) == message


def test_a_policy_is_made_by_a_name_a_class_or_a_factory():
    weights = {"latency_weight": "0", "resource_weight": "1"}
    sources = ("latency", LatencyOptimizedPolicy, lambda: LatencyOptimizedPolicy())
    assert {type(new_policy(source)) for source in sources} == {LatencyOptimizedPolicy}
    for source in ("adaptive", AdaptiveRoutingPolicy):
        assert type(new_policy(source, weights)) is AdaptiveRoutingPolicy
        with pytest.raises(ConfigurationError, match="found 'speed'"):
            new_policy(source, {"speed": "1"})
