from pathlib import Path

import pytest

from router_backend.core.records.request import RoutingContext
from router_backend.runtime.warmup_plan import WarmupPlan, synthetic_shape
from tests.unit.runtime.routers import router_of


def test_a_variant_is_measured_with_the_batches_of_the_setting_the_first_one_twice(tmp_path: Path) -> None:
    plan = WarmupPlan(*router_of(tmp_path, warmup_batch_sizes="2, 100"))
    plan.add("a")
    assert plan.waiting
    contexts = list(plan.contexts(plan.take()))
    assert not plan.waiting
    assert [(each.batch_size, each.elements) for each in contexts] == [(2, 8), (2, 8), (8, 32)]
    assert all(each.allowed_variants == {"a"} and each.warmup for each in contexts)


def test_without_a_batch_dimension_all_requests_have_one_item(tmp_path: Path) -> None:
    plan = WarmupPlan(*router_of(tmp_path, max_batch_size=0, warmup_batch_sizes="1, 8"))
    assert [(each.batch_size, each.elements) for each in plan.contexts("a")] == [(1, 4)] * 3


@pytest.mark.parametrize(
    ("data_type", "dims"), [("TYPE_STRING", "4"), ("TYPE_BF16", "4"), ("TYPE_FP32", "-1")]
)
def test_inputs_that_cannot_be_synthesized_are_not_measured(
    tmp_path: Path, data_type: str, dims: str
) -> None:
    plan = WarmupPlan(*router_of(tmp_path, data_type, dims))
    plan.add("a")
    assert not plan.waiting


def test_a_known_variant_is_not_measured_and_a_busy_one_is_not_idle(tmp_path: Path) -> None:
    setup, router = router_of(tmp_path, warmup_batch_sizes="1")
    plan = WarmupPlan(setup, router)
    attempt = router.dispatch("m", RoutingContext(allowed_variants=frozenset({"a"}))).next_attempt()
    assert (plan.is_idle("a"), plan.is_idle("b")) == (False, True)
    attempt.succeeded(1.0)
    assert plan.is_idle("a")
    plan.add("a")
    assert not plan.waiting


def test_open_dimensions_have_one_element(tmp_path: Path) -> None:
    setup, _ = router_of(tmp_path, dims="-1, 3")
    (tensor,) = setup.signature.inputs
    assert synthetic_shape(tensor, setup.signature, 2) == (2, 1, 3)
