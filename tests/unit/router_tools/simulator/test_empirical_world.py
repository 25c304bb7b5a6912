import numpy as np
import pytest

from router_backend.core.records.outcome import Fault
from router_backend.core.records.variant import Device
from router_tools.errors import ToolError
from router_tools.simulator.draw import draw, noise
from router_tools.simulator.empirical_world import empirical_world
from router_tools.simulator.run import run
from router_tools.simulator.schema.trace import CandidateLine, FailureLine
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.world import World
from tests.unit.router_tools.simulator.builders import variant, workload

WORLD = World("w", "", (variant("gpu", 2.3, 0.8, noise_sigma=0.1), variant("cpu", 6.0, 7.5, noise_sigma=0.1)))


def recorded(*, told_service: bool) -> list[TracedRequest]:
    requested = workload(load=0.7, requests=4000)
    record = run(WORLD, requested, "p2c", 0)
    batch_size = draw(WORLD, requested, 0).requests.batch_size
    requests = [
        TracedRequest(
            arrival_s=float(record.arrival_s[row["request"]]),
            batch_size=int(batch_size[row["request"]]),
            variant=record.variants[row["variant"]],
            device=Device.GPU,
            latency_ms=float(row["latency_ms"]),
            service_ms=float(row["service_ms"]) if told_service else None,
        )
        for row in record.executions
    ]
    return sorted(requests, key=lambda request: request.arrival_s)


@pytest.mark.parametrize("told_service", [True, False])
def test_a_fitted_world_has_the_service_times_of_the_recorded_one(told_service: bool) -> None:
    fitted = {v.name: v for v in empirical_world("t", recorded(told_service=told_service)).variants}
    assert sorted(fitted) == ["cpu", "gpu"]
    for truth in WORLD.variants:
        for batch_size in (1, 3, 6, 12, 24):
            expected_ms = truth.law.mean_ms(batch_size, 1)
            assert fitted[truth.name].law.mean_ms(batch_size, 1) == pytest.approx(expected_ms, rel=0.08)
        assert fitted[truth.name].noise_sigma == pytest.approx(0.1, abs=0.06)
        assert fitted[truth.name].device is Device.GPU


def test_variants_with_few_executions_are_left_out_and_no_variant_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = [TracedRequest(float(second), 1, variant="gpu", latency_ms=3.0) for second in range(4)]
    enough = [TracedRequest(10.0 + second, 1, variant="cpu", latency_ms=3.0) for second in range(5)]
    unanswered = [TracedRequest(20.0 + second, 1, variant="mps") for second in range(9)]
    assert [v.name for v in empirical_world("t", few + enough + unanswered).variants] == ["cpu"]
    assert capsys.readouterr().err.startswith("warning: gpu is left out: it answered 4 requests, and its ")
    with pytest.raises(ToolError, match=r"found gpu: record more"):
        empirical_world("t", few)


def test_a_size_between_two_powers_of_two_is_interpolated() -> None:
    requests = [
        TracedRequest(
            float(second), batch_size, elements=10 * batch_size, variant="gpu", service_ms=ms, latency_ms=ms
        )
        for second, (batch_size, ms) in enumerate([(1, 2.0), (5, 10.0)] * 5)
    ]
    law = empirical_world("t", requests).variants[0].law
    np.testing.assert_allclose([law.mean_ms(b, 10) for b in (1, 3, 5)], [2.0, 6.0, 10.0])


def in_order(candidates: tuple[str, ...]) -> list[TracedRequest]:
    lines = [CandidateLine(variant=name, concurrency=2, wait_ms=0.0, service_ms=1.0) for name in candidates]
    return [
        TracedRequest(float(n), 1, variant="ba"[n % 2], latency_ms=3.0 + n % 3, candidates=lines)
        for n in range(40)
    ]


def test_variants_have_the_order_and_concurrency_of_the_routers_configuration() -> None:
    """Round robin depends on the order."""
    for order in (("a", "b"), ("b", "a")):
        variants = empirical_world("t", in_order(order)).variants
        assert tuple(variant.name for variant in variants) == order
        assert [(each.concurrency, each.told_concurrency) for each in variants] == [(2, 2), (2, 2)]


def test_the_time_in_the_routers_own_queue_is_not_service() -> None:
    """Ten requests arrive at once and are sent one after the other, each when the one before has ended."""
    requests = [
        TracedRequest(0.001 * n, 1, variant="gpu", latency_ms=4.0, queued_ms=4.0 * n - n) for n in range(10)
    ]
    law = empirical_world("t", requests).variants[0].law
    assert law.mean_ms(1, 1) == pytest.approx(4.0)


def test_noise_is_drawn_from_what_was_measured() -> None:
    services_ms = [2.0, 2.0, 2.0, 10.0] * 10
    requests = [
        TracedRequest(float(n), 1, variant="gpu", latency_ms=ms, service_ms=ms)
        for n, ms in enumerate(services_ms)
    ]
    (gpu,) = empirical_world("t", requests).variants
    drawn = noise(gpu, 1000, np.random.default_rng(0))
    assert sorted(set(np.round(drawn, 6))) == [0.5, 2.5]
    assert drawn.mean() == pytest.approx(1.0, abs=0.1)


def test_a_variant_that_was_slow_for_some_time_is_slow_then() -> None:
    requests = [
        TracedRequest(float(n), 1, variant="gpu", latency_ms=(6.0 if 400 <= n < 800 else 2.0) + n % 2 * 0.1)
        for n in range(1000)
    ]
    world = empirical_world("t", requests)
    stretches = [(drift.start, drift.end) for drift in world.drifts]
    np.testing.assert_allclose(stretches, [(0.0, 0.4), (0.4, 0.8), (0.8, 1.0)], atol=0.021)
    factors = np.array([drift.factor for drift in world.drifts])
    means_ms = factors * world.variants[0].law.mean_ms(1, 1)
    np.testing.assert_allclose(means_ms, [2.05, 6.05, 2.05], rtol=0.01)
    assert empirical_world("t", requests[:400]).drifts == ()


def test_a_variant_that_failed_for_some_time_fails_then() -> None:
    failure = FailureLine(variant="gpu", fault=Fault.ERROR)
    requests = [
        TracedRequest(float(n), 1, variant="cpu", latency_ms=3.0, queued_ms=3.0, failures=[failure])
        if 400 <= n < 500
        else TracedRequest(float(n), 1, variant="gpu", latency_ms=3.0)
        for n in range(1000)
    ]
    (outage,) = empirical_world("t", requests).failures
    assert (outage.variant, outage.share, outage.error_s) == ("gpu", 1.0, None)
    np.testing.assert_allclose((outage.start, outage.end), (0.4, 0.5), atol=0.002)
