import pytest

from router_backend.core.policies.opportunity_price import OpportunityPrice
from tests.unit.core.candidates import candidate_of


def test_the_time_of_a_variant_that_served_nothing_is_free():
    assert OpportunityPrice().mj_per_ms(candidate_of("a", 10.0, utilization=1.0)) == 0.0


@pytest.mark.parametrize(("utilization", "expected"), [(0.0, 0.0), (0.5, 1.25), (1.0, 5.0), (1.5, 5.0)])
def test_time_is_worth_what_it_saved_by_the_square_of_how_busy_the_variant_is(utilization, expected):
    price = OpportunityPrice()
    price.served(candidate_of("a", 10.0), 50.0)
    assert price.mj_per_ms(candidate_of("a", 1.0, utilization=utilization)) == pytest.approx(expected)


def test_each_variant_has_its_own_price():
    price = OpportunityPrice()
    price.served(candidate_of("a", 10.0), 50.0)
    assert price.mj_per_ms(candidate_of("b", 10.0, utilization=1.0)) == 0.0


def test_a_loss_counts_as_zero_and_old_savings_are_forgotten():
    price = OpportunityPrice()
    a = candidate_of("a", 10.0, utilization=1.0)
    price.served(a, 50.0)
    price.served(a, -50.0)
    assert 2.0 < price.mj_per_ms(a) < 2.5
    for _ in range(300):
        price.served(a, 10.0)
    assert price.mj_per_ms(a) == pytest.approx(1.0, rel=0.01)
