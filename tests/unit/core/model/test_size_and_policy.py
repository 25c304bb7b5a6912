"""The policy of a model, and the size of its requests."""

import pytest

from router_backend.baselines.static import StaticPolicy
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError
from tests.unit.core.model.requests import route


def test_a_policy_for_an_unknown_variant_is_refused_with_the_known_ones(make_model):
    model = make_model("a", "b")
    with pytest.raises(ConfigurationError, match="expected 'static:' and one of a, b, found 'static:c'"):
        model.set_policy(StaticPolicy("c"))
    assert route(model).policy == "shortest"


class TestSize:
    def test_without_elements_it_is_the_batch(self, make_model):
        assert route(make_model("a"), batch_size=8).size == 8.0

    def test_elements_are_counted_in_items_of_the_first_request(self, make_model):
        model = make_model("a")
        sizes = [
            route(model, batch_size=batch_size, elements=elements).size
            for batch_size, elements in ((2, 200), (1, 100), (8, 800), (1, 350))
        ]
        assert sizes == [2.0, 1.0, 8.0, 3.5]

    def test_a_request_without_elements_counts_by_its_batch(self, make_model):
        assert route(make_model("a"), batch_size=4, elements=0).size == 4.0


@pytest.mark.parametrize(
    ("settings", "context", "bound_ms"),
    [
        ({"max_latency_ms": 50.0, "refuse_late": True}, {}, 50.0),
        ({"max_latency_ms": 50.0, "refuse_late": True}, {"max_latency_ms": 20.0}, 20.0),
        ({"max_latency_ms": 50.0, "refuse_late": True}, {"refuse_late": False}, None),
        ({"max_latency_ms": 50.0}, {}, None),
        ({"max_latency_ms": 50.0}, {"refuse_late": True}, 50.0),
        ({"refuse_late": True}, {}, None),
    ],
)
def test_only_a_request_that_is_refused_if_late_has_a_bound(settings, context, bound_ms):
    router = ModelRouter(ModelSettings(**settings))
    router.register_model("m", variants=[Variant("a", Device.CPU)])
    assert router.model("m").bound_ms(RoutingContext(**context)) == bound_ms
