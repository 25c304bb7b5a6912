from router_backend.baselines.request_size import RequestSize

from router_backend.core.records.request import RoutingContext


def test_without_elements_it_is_the_batch():
    assert RequestSize().of(RoutingContext(batch_size=8)) == 8.0
    assert RequestSize().of(RoutingContext(batch_size=8, elements=0)) == 8.0


def test_elements_count_relative_to_one_item_of_the_first_request():
    size = RequestSize()
    assert size.of(RoutingContext(batch_size=4, elements=400)) == 4.0
    assert size.of(RoutingContext(batch_size=2, elements=600)) == 6.0
