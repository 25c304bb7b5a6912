import itertools
import math
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.choosing.filters import FILTERS, Filter
from router_backend.core.dispatch import Dispatch
from router_backend.core.policies.base import Policy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.state import VariantState
from router_backend.errors import ConfigurationError, InvalidRequestError, NoVariantError
from tests.unit.core.clock import Clock

GPU = Variant("resnet50_gpu", Device.GPU)
CPU = Variant("resnet50_cpu", Device.CPU, concurrency=2)


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def router(clock: Clock) -> ModelRouter:
    """Return a router of one model, with a GPU and a CPU variant."""
    router = ModelRouter(clock=clock, rng=random.Random(0))
    router.register_model("resnet50", variants=[GPU, CPU])
    return router


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Switch between threads after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def serve(router: ModelRouter, clock: Clock, latency_ms: float, **context: object) -> RoutingDecision:
    """Route a request, advance the clock by its latency, and record it."""
    decision = router.route_request("resnet50", RoutingContext(**context))
    clock.now_s += latency_ms / 1e3
    router.record_execution(decision, latency_ms=latency_ms)
    return decision


def best(router: ModelRouter, **context: object) -> str:
    """Return the variant with the best score for such a request, without sending it."""
    decision = router.route_request("resnet50", RoutingContext(**context))
    router.record_execution(decision)
    return max(decision.candidates, key=lambda candidate: candidate.score).variant


def in_flight(router: ModelRouter) -> int:
    return sum(router.model("resnet50").state(variant.name).load.in_flight for variant in (GPU, CPU))


class TestRegistration:
    def test_a_model_is_registered_once(self, router):
        with pytest.raises(ConfigurationError) as error:
            router.register_model("resnet50", variants=[GPU])
        assert (
            str(error.value)
            == "model 'resnet50': expected to register it once, found it is registered already"
        )

    def test_a_model_without_variants_is_refused(self, router):
        with pytest.raises(
            ConfigurationError, match="model 'bert': expected at least one variant, found none"
        ):
            router.register_model("bert", variants=[])

    def test_a_duplicate_variant_is_refused_with_the_list(self, router):
        with pytest.raises(ConfigurationError) as error:
            router.register_model("bert", variants=[GPU, CPU, GPU])
        assert str(error.value) == (
            "model 'bert': expected every variant once, found resnet50_gpu, resnet50_cpu, resnet50_gpu; "
            "name each variant once"
        )

    def test_models_do_not_share_what_they_learn(self, router, clock):
        router.register_model("bert", variants=[GPU, CPU])
        for _ in range(2):
            serve(router, clock, 5.0, allowed_variants=frozenset({GPU.name}))
        assert router.model("resnet50").state(GPU.name).profile.latency.known
        assert not router.model("bert").state(GPU.name).profile.latency.known

    def test_a_variant_of_two_models_is_learned_separately_by_each(self, router):
        router.register_model("bert", variants=[GPU])
        assert router.model("bert").state(GPU.name) is not router.model("resnet50").state(GPU.name)


class TestUnknownNames:
    def test_an_unknown_model_is_refused_with_the_known_ones(self, router):
        router.register_model("bert", variants=[GPU])
        with pytest.raises(InvalidRequestError) as error:
            router.route_request("resnet", RoutingContext())
        assert str(error.value) == "model 'resnet' is not registered: found resnet50, bert"

    def test_before_any_registration_the_error_says_so(self):
        with pytest.raises(InvalidRequestError, match="model 'resnet50' is not registered: found none yet"):
            ModelRouter().route_request("resnet50", RoutingContext())

    def test_an_unknown_variant_is_refused_with_the_known_ones(self, router):
        with pytest.raises(InvalidRequestError) as error:
            router.model("resnet50").state("resnet50_mps")
        assert str(error.value) == (
            "model 'resnet50' has no variant 'resnet50_mps': expected one of resnet50_gpu, resnet50_cpu"
        )


class TestReadiness:
    def test_a_variant_that_is_not_ready_gets_no_requests_until_it_is(self, router):
        router.model("resnet50").set_ready(GPU.name, "still loading")
        routed = [router.route_request("resnet50", RoutingContext()) for _ in range(5)]
        assert {decision.variant for decision in routed} == {CPU.name}
        router.model("resnet50").set_ready(GPU.name, None)
        assert router.route_request("resnet50", RoutingContext()).variant == GPU.name

    def test_when_none_is_ready_the_error_has_the_reasons(self, router):
        router.model("resnet50").set_ready(GPU.name, "no CUDA device")
        router.model("resnet50").set_ready(CPU.name, "still loading")
        with pytest.raises(NoVariantError, match="resnet50_gpu: no CUDA device; resnet50_cpu: still loading"):
            router.route_request("resnet50", RoutingContext())

    def test_an_unknown_variant_cannot_become_ready(self, router):
        with pytest.raises(InvalidRequestError, match="has no variant 'resnet50_mps'"):
            router.model("resnet50").set_ready("resnet50_mps", None)


class TestFilters:
    def test_one_of_the_user_is_applied_in_addition_to_the_others(self, clock):
        def after_hours(state: VariantState, request: Request) -> str | None:
            return "the CPU sleeps at night" if state.variant is CPU and request.now_s > 2000.0 else None

        router = ModelRouter(clock=clock, filters=(*FILTERS, Filter(after_hours)))
        router.register_model("resnet50", variants=[GPU, CPU])
        router.model("resnet50").set_ready(GPU.name, "still loading")
        assert router.route_request("resnet50", RoutingContext()).variant == CPU.name
        clock.now_s = 3000.0
        with pytest.raises(
            NoVariantError, match="resnet50_gpu: still loading; resnet50_cpu: the CPU sleeps at night"
        ):
            router.route_request("resnet50", RoutingContext())

    def test_one_that_is_a_constraint_is_only_applied_to_requests_that_state_one(self, clock):
        never = Filter(lambda *_: "never", constraint=True)
        router = ModelRouter(clock=clock, filters=(*FILTERS, never))
        router.register_model("resnet50", variants=[CPU])
        assert router.route_request("resnet50", RoutingContext()).variant == CPU.name
        with pytest.raises(NoVariantError, match="resnet50_cpu: never"):
            router.route_request("resnet50", RoutingContext(max_memory_mb=1e9))


class TestLearning:
    def test_a_gpu_is_tried_first_and_kept_if_it_is_faster(self, router, clock):
        latency_ms = {GPU.name: 4.0, CPU.name: 30.0}
        chosen = []
        for _ in range(100):
            decision = router.route_request("resnet50", RoutingContext())
            chosen.append(decision.variant)
            clock.now_s += latency_ms[decision.variant] / 1e3
            router.record_execution(decision, latency_ms=latency_ms[decision.variant])
            clock.now_s += 0.1
        assert chosen[0] == GPU.name
        assert chosen.count(GPU.name) >= 97
        assert decision.expected_latency_ms == pytest.approx(4.0, rel=0.02)

    @pytest.mark.parametrize(("cpu_ms", "best_name"), [(2.0, CPU.name), (30.0, GPU.name)])
    def test_copies_measure_the_other_one_while_no_client_waits(self, clock, cpu_ms, best_name):
        router = ModelRouter(clock=clock, rng=random.Random(0), copies=True)
        router.register_model("resnet50", variants=[GPU, CPU])
        latency_ms = {GPU.name: 4.0, CPU.name: cpu_ms}

        def answer(dispatch: Dispatch) -> str:
            attempt = dispatch.next_attempt()
            clock.now_s += latency_ms[attempt.variant] / 1e3
            attempt.succeeded(latency_ms[attempt.variant])
            clock.now_s += 0.1
            return attempt.variant

        chosen, copied = [], []
        for _ in range(100):
            dispatch = router.dispatch("resnet50", RoutingContext())
            chosen.append(answer(dispatch))
            copy = dispatch.copy()
            if copy is not None:
                copied.append(answer(copy))
        assert set(copied[:8]) == {GPU.name, CPU.name}
        assert len(copied) <= 16, "until each has eight answers"
        assert router.model("resnet50").state(CPU.name).profile.latency.known
        assert chosen[16:].count(best_name) >= 82
        assert router.get_metrics().get_model_metrics("resnet50").total_requests == 100, "copies do not count"

    def test_it_learns_that_the_faster_one_depends_on_the_batch(self, router, clock):
        def latency_ms(variant: str, batch_size: int) -> float:
            return 10.0 + 0.5 * batch_size if variant == GPU.name else 1.0 + 3.0 * batch_size

        for batch_size in (1, 2, 4, 8, 16, 32) * 5:
            for variant in (GPU.name, CPU.name):
                context = {"batch_size": batch_size, "allowed_variants": frozenset({variant})}
                serve(router, clock, latency_ms(variant, batch_size), **context)
                clock.now_s += 1.0
        clock.now_s += 10.0
        assert {size: best(router, batch_size=size) for size in (1, 2, 8, 32)} == {
            1: CPU.name,
            2: CPU.name,
            8: GPU.name,
            32: GPU.name,
        }

    def test_a_queue_makes_the_slower_variant_worth_it(self, router, clock):
        for variant, latency_ms in ((GPU.name, 10.0), (CPU.name, 25.0)):
            for _ in range(20):
                serve(router, clock, latency_ms, allowed_variants=frozenset({variant}))
        clock.now_s += 10.0
        bests, waiting = [], []
        for _ in range(4):
            bests.append(best(router))
            context = RoutingContext(allowed_variants=frozenset({GPU.name}))
            waiting.append(router.route_request("resnet50", context))
        assert bests == [GPU.name, GPU.name, CPU.name, CPU.name]

    @pytest.mark.parametrize("bad_ms", [math.nan, math.inf, -math.inf, -5.0, 0.0])
    def test_an_invalid_latency_is_counted_and_not_learned_from(self, router, clock, bad_ms):
        only_gpu = frozenset({GPU.name})
        for _ in range(20):
            serve(router, clock, 4.0, allowed_variants=only_gpu)
        state = router.model("resnet50").state(GPU.name)
        profile = state.profile
        before = profile.latency.predict(1.0, clock.now_s), profile.interval.get()
        waiting = [
            router.route_request("resnet50", RoutingContext(allowed_variants=only_gpu)) for _ in range(3)
        ]
        router.record_execution(waiting[0], latency_ms=bad_ms)
        assert (profile.latency.predict(1.0, clock.now_s), profile.interval.get()) == before
        assert profile.latency.rejected == 1
        assert state.load.in_flight == 2
        assert state.load.wait_ms(clock.now_s) == pytest.approx(8.0, rel=0.01)

    def test_a_clock_that_jumps_back_does_not_break_the_router(self, router, clock):
        for step_s in (0.1, -50.0, 0.0, 0.0, 200.0, -1000.0) * 20:
            decision = router.route_request("resnet50", RoutingContext())
            clock.now_s += step_s
            router.record_execution(decision, latency_ms=5.0)
            assert 0.0 < decision.expected_latency_ms < 1e6
        assert in_flight(router) == 0
        serve(router, clock, 5.0)
        latency = router.model("resnet50").state(GPU.name).profile.latency
        assert latency.predict(1.0, clock.now_s) == pytest.approx(5.0, rel=0.1)


class FirstOfAll(Policy):
    """Picks the first candidate, and counts how often."""

    name = "first"

    def __init__(self) -> None:
        self.choices = 0

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        self.choices += 1
        for place, candidate in enumerate(candidates):
            candidate.cost = float(place)


class TestPolicy:
    def test_it_can_be_changed_while_serving_and_what_was_learned_stays(self, router, clock):
        for variant, latency_ms in ((GPU.name, 40.0), (CPU.name, 5.0)):
            for _ in range(5):
                serve(router, clock, latency_ms, allowed_variants=frozenset({variant}))
        router.set_routing_policy(FirstOfAll)
        decision = serve(router, clock, 40.0)
        assert (decision.policy, decision.variant) == ("first", GPU.name)
        router.set_routing_policy("latency")
        assert router.route_request("resnet50", RoutingContext()).policy == "latency"
        assert best(router) == CPU.name

    def test_it_applies_to_models_that_are_registered_later(self, router):
        router.set_routing_policy(FirstOfAll)
        router.register_model("bert", variants=[GPU, CPU])
        assert router.route_request("bert", RoutingContext()).policy == "first"

    def test_each_model_gets_one_of_its_own(self, router):
        router.register_model("bert", variants=[GPU])
        made = []

        def make() -> FirstOfAll:
            made.append(FirstOfAll())
            return made[-1]

        router.set_routing_policy(make)
        for model_name in ("resnet50", "bert", "bert"):
            router.route_request(model_name, RoutingContext())
        assert sorted(policy.choices for policy in made if policy.choices) == [1, 2]

    def test_it_may_be_a_class_of_which_each_model_gets_an_object(self, router):
        router.register_model("bert", variants=[GPU])
        router.set_routing_policy(PowerEfficientPolicy)
        policies = [router.route_request(name, RoutingContext()).policy for name in ("resnet50", "bert")]
        assert policies == ["power", "power"]

    def test_an_object_is_refused_with_its_class_since_each_model_needs_its_own(self, router):
        with pytest.raises(ConfigurationError, match="pass the class LatencyOptimizedPolicy"):
            router.set_routing_policy(LatencyOptimizedPolicy())

    @pytest.mark.parametrize("policy", [3, None, lambda: "latency"])
    def test_anything_else_is_refused(self, router, policy):
        with pytest.raises(
            ConfigurationError, match="expected a policy name, a Policy subclass or a factory"
        ):
            router.set_routing_policy(policy)
        assert router.route_request("resnet50", RoutingContext()).policy == "latency"

    def test_an_unknown_name_is_refused_and_changes_nothing(self, router):
        with pytest.raises(
            ConfigurationError, match=r"expected one of the policies .*latency.*, found 'latancy'"
        ):
            router.set_routing_policy("latancy")
        assert router.route_request("resnet50", RoutingContext()).policy == "latency"
        router.register_model("bert", variants=[GPU])
        assert router.route_request("bert", RoutingContext()).policy == "latency"


class TestFaults:
    def test_a_failing_variant_gets_no_requests_while_its_breaker_is_open(self, router, clock):
        for variant, latency_ms in ((GPU.name, 4.0), (CPU.name, 30.0)) * 2:
            serve(router, clock, latency_ms, allowed_variants=frozenset({variant}))
        for _ in range(2):
            decision = router.route_request(
                "resnet50", RoutingContext(allowed_variants=frozenset({GPU.name}))
            )
            router.record_execution(decision, error=Fault.ERROR)
        assert router.route_request("resnet50", RoutingContext()).variant == CPU.name
        clock.now_s += 0.25
        assert router.route_request("resnet50", RoutingContext()).variant == GPU.name


def replay(seed: int, requests: int = 500) -> list[tuple[str, float, float, float, bool]]:
    """Return the decisions of a run with fixed arrivals, sizes and service times and a seeded router."""
    world, clock = random.Random(42), Clock(1000.0)
    router = ModelRouter(ModelSettings(), clock=clock, rng=random.Random(seed))
    router.register_model("resnet50", variants=[GPU, CPU])
    pending: list[tuple[float, int, float, RoutingDecision]] = []
    log = []
    for number in range(requests):
        clock.now_s += world.expovariate(200.0)
        for finish_s, _, latency_ms, decision in sorted(pending, key=lambda entry: entry[:2]):
            if finish_s <= clock.now_s:
                router.record_execution(decision, latency_ms=latency_ms)
        pending = [entry for entry in pending if entry[0] > clock.now_s]
        decision = router.route_request("resnet50", RoutingContext(batch_size=world.choice((1, 2, 4, 8))))
        latency_ms = decision.size * world.uniform(1.0, 3.0) * (1.0 if decision.variant == GPU.name else 4.0)
        pending.append((clock.now_s + latency_ms / 1e3, number, latency_ms, decision))
        log.append(
            (
                decision.variant,
                decision.expected_latency_ms,
                decision.confidence,
                decision.propensity,
                decision.probe,
            )
        )
    return log


def test_a_seeded_run_can_be_replayed_decision_by_decision():
    first, again = replay(seed=7), replay(seed=7)
    assert first == again
    assert {variant for variant, *_ in first} == {GPU.name, CPU.name}


class Watchful(FirstOfAll):
    """Counts how many threads call it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = self.most = 0

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(50):  # each turn is an occasion for another thread
            super().score(candidates, request)
        self.inside -= 1


def in_eight_threads(work: Callable[[int], None]) -> None:
    """Run the work in eight threads that start together; raise their errors."""
    start, failures = threading.Barrier(8), []

    def guarded(number: int) -> None:
        start.wait()
        try:
            work(number)
        except Exception as error:  # noqa: BLE001 - raised again by the thread of the test
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in failures:
        raise error


@pytest.mark.usefixtures("eager_threads")
def test_a_policy_is_never_called_by_two_threads_at_once(router):
    policy = Watchful()
    router.set_routing_policy(lambda: policy)

    def client(number: int) -> None:
        for _ in range(20):
            router.record_execution(router.route_request("resnet50", RoutingContext()))

    in_eight_threads(client)
    assert policy.choices == 8 * 20 * 50
    assert policy.most == 1


@pytest.mark.usefixtures("eager_threads")
def test_with_eight_threads_nothing_stays_in_flight_and_no_count_is_lost():
    ticks = itertools.count(1)
    router = ModelRouter(clock=lambda: next(ticks) / 1e3, rng=random.Random(0))
    router.register_model("resnet50", variants=[GPU, CPU])
    requests = 300

    def client(number: int) -> None:
        rng = random.Random(number)
        for _ in range(requests):
            decision = router.route_request("resnet50", RoutingContext(batch_size=rng.choice((1, 2, 8))))
            outcome = rng.random()
            if outcome < 0.8:
                router.record_execution(decision, latency_ms=rng.uniform(1.0, 5.0))
            elif outcome < 0.9:
                router.record_execution(decision)
            # else: the decision is dropped unrecorded
            del decision

    in_eight_threads(client)
    router.record_execution(
        router.route_request("resnet50", RoutingContext())
    )  # frees the places of dropped decisions
    assert in_flight(router) == 0
    states = [router.model("resnet50").state(variant.name) for variant in (GPU, CPU)]
    expected = sum(_recorded(number, requests) for number in range(8))
    assert sum(state.answers for state in states) == expected
    assert all(math.isfinite(state.profile.latency.predict(1.0, 1e6)) for state in states)


def _recorded(number: int, requests: int) -> int:
    """Return how many requests the client of this number records as answered."""
    rng, count = random.Random(number), 0
    for _ in range(requests):
        rng.choice((1, 2, 8))
        if rng.random() < 0.8:
            rng.uniform(1.0, 5.0)
            count += 1
    return count
