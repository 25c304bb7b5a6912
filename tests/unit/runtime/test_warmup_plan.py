import time
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path

import pytest

from router_backend.core.records.request import RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.runtime.warmup_plan import WarmupPlan, synthetic_shape
from tests.unit.runtime.routers import router_of


def measured(
    plan: WarmupPlan, router: ModelRouter, times_ms: Sequence[float] = (), variant: str = "a"
) -> list[RoutingContext]:
    """Return the requests that measure a variant, whose answers take these times, and then 1 ms."""
    contexts = []
    for context, latency_ms in zip(plan.contexts(variant), chain(times_ms, repeat(1.0)), strict=False):
        contexts.append(context)
        attempt = router.dispatch("m", context).next_attempt()
        time.sleep(0.0001)
        attempt.succeeded(latency_ms)
    return contexts


def test_a_variant_is_measured_with_the_batches_of_the_setting_the_first_one_twice(tmp_path: Path) -> None:
    setup, router = router_of(tmp_path, warmup_batch_sizes="2, 100")
    plan = WarmupPlan(setup, router)
    plan.add("a")
    assert plan.waiting
    contexts = measured(plan, router, variant=plan.take())
    assert not plan.waiting
    assert [(each.batch_size, each.elements) for each in contexts] == [(2, 8), (2, 8), (8, 32)]
    assert all(each.allowed_variants == {"a"} and each.warmup for each in contexts)


def test_without_a_batch_dimension_all_requests_have_one_item(tmp_path: Path) -> None:
    setup, router = router_of(tmp_path, max_batch_size=0, warmup_batch_sizes="1, 8")
    contexts = measured(WarmupPlan(setup, router), router)
    assert [(each.batch_size, each.elements) for each in contexts] == [(1, 4)] * 3


@pytest.mark.parametrize(
    ("times_ms", "further"),
    [
        ([5.1, 4.7, 4.3, 4.5, 4.4], 0),
        ([5.1, 4.7, 4.3, 4.5, 2.1], 1),  # the last one shows that those before were cold calls
        ([9.0, 8.0, 8.0, 8.0, 4.0, 3.9, 3.9], 1),
    ],
)
def test_a_warm_up_goes_on_until_its_last_answer_is_confirmed(
    tmp_path: Path, times_ms: list[float], further: int
) -> None:
    setup, router = router_of(tmp_path, warmup_batch_sizes="1,1,1,1")
    assert len(measured(WarmupPlan(setup, router), router, times_ms)) == 5 + further
    assert router.model("m").state("a").profile.latency.known


def test_a_warm_up_ends_even_if_no_answer_is_confirmed(tmp_path: Path) -> None:
    plan = WarmupPlan(*router_of(tmp_path, warmup_batch_sizes="1"))
    assert len(list(plan.contexts("a"))) == 2 + WarmupPlan.MOST_FURTHER


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
