import pytest

from router_backend.baselines.static import StaticPolicy
from router_backend.core.policies.registry import create_policy
from router_backend.errors import ConfigurationError
from tests.unit.baselines.replicas import choose, holding


def test_the_named_variant_serves_however_busy_it_is():
    other, named = holding("other"), holding("named", in_flight=50)
    assert choose(create_policy("static:named"), other, named) == (named, 1.0, False)
    assert (named.cost, other.cost) == (0.0, 1.0)


def test_where_it_cannot_serve_the_first_candidate_does():
    first, second = holding("first"), holding("second")
    assert choose(StaticPolicy("named"), first, second)[0] is first
    assert (first.cost, second.cost) == (1.0, 1.0)


def test_where_it_cannot_serve_the_one_of_highest_weight_does():
    first, second = holding("first"), holding("second")
    second.weight = 2.0
    assert choose(StaticPolicy("named"), first, second)[0] is second


def test_a_name_must_follow():
    with pytest.raises(
        ConfigurationError, match="expected 'static:' and the name of a variant, found 'static'"
    ):
        create_policy("static")
