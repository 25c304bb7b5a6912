import math

import pytest

from router_backend.core.records.request import RoutingContext
from router_backend.errors import InvalidRequestError


def test_the_default_is_one_item_that_any_variant_may_serve_with_no_deadline():
    context = RoutingContext()
    assert (context.batch_size, context.elements, context.max_latency_ms) == (1, None, None)
    assert context.allowed_variants is None
    assert context.excluded_variants == frozenset()
    assert context.optimization_goal is None


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("batch_size", 0, "at least 1"),
        ("batch_size", -8, "at least 1"),
        ("batch_size", math.nan, "at least 1"),
        ("batch_size", math.inf, "at least 1"),
        ("elements", -1, "0 or more"),
        ("elements", math.nan, "0 or more"),
        ("elements", math.inf, "0 or more"),
        ("max_latency_ms", math.nan, "a finite number"),
        ("max_latency_ms", math.inf, "a finite number"),
        ("spent_ms", -1.0, "0 or more"),
        ("spent_ms", math.nan, "0 or more"),
        ("spent_ms", math.inf, "0 or more"),
        *(
            (limit, value, "a number above 0")
            for limit in ("max_memory_mb", "max_power_w")
            for value in (0.0, -1.0, math.nan, math.inf)
        ),
    ],
)
def test_an_invalid_number_is_refused_by_name(field, value, expected):
    with pytest.raises(InvalidRequestError) as error:
        RoutingContext(**{field: value})
    assert str(error.value) == f"{field} must be {expected}, found {value}"


@pytest.mark.parametrize(
    ("field", "value"),
    [("batch_size", 1), ("elements", 0), ("spent_ms", 0.0), ("max_memory_mb", 0.5), ("max_power_w", 0.5)],
)
def test_the_lowest_valid_numbers_are_accepted(field, value):
    assert getattr(RoutingContext(**{field: value}), field) == value


def test_a_deadline_that_has_already_passed_is_valid():
    assert RoutingContext(max_latency_ms=-1.0).max_latency_ms == -1.0
