"""Contract of all policies.

New policies of the registry are discovered automatically. Add the arguments after the colon to `ARGUMENTS`.
"""

import inspect
import math
import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend import baselines
from router_backend.core import policies
from router_backend.core.choosing.decision import Choice, RoutingDecision
from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.policies.base import Policy
from router_backend.core.policies.picker import Picker
from router_backend.core.policies.registry import POLICIES, create_policy
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import NoVariantError
from tests.contract.discovery import classes_of
from tests.unit.core.candidates import execution_of

NAMES = ("v0", "v1", "v2", "v3", "v4")
ARGUMENTS = {"static": NAMES[0]}
SPELLINGS = [f"{kind}:{ARGUMENTS[kind]}" if kind in ARGUMENTS else kind for kind in POLICIES]


class Figures(NamedTuple):
    """The predictions for a request at a candidate."""

    service_ms: float
    wait_ms: float
    variance: float
    utilization: float
    in_flight: int
    size: float


FIGURES = st.builds(
    Figures,
    service_ms=st.floats(1e-3, 1e6),
    wait_ms=st.one_of(st.just(0.0), st.floats(0.0, 1e7)),
    variance=st.floats(0.0, 1.0),
    utilization=st.floats(0.0, 5.0),
    in_flight=st.integers(0, 5),
    size=st.floats(1e-3, 1e6),
)
ROUNDS = st.lists(st.lists(FIGURES, min_size=1, max_size=len(NAMES)), min_size=1, max_size=8)
DEADLINES = st.one_of(st.none(), st.floats(-1.0, 1e6))


POWER = ResourceModel(prior=10.0)


def candidates_of(figures: list[Figures]) -> list[Candidate]:
    """Return candidates with these figures; their costs are NaN until a policy sets them."""
    candidates = []
    for number, (name, each) in enumerate(zip(NAMES, figures, strict=False)):
        instances = 1 + number % 3
        variant = Variant(name, Device.CPU, instances)
        candidate = Candidate(variant, concurrency=instances, power=POWER, **each._asdict())
        candidate.cost = math.nan
        candidates.append(candidate)
    return candidates


def shown(candidate: Candidate) -> dict[str, object]:
    """Return the figures of a candidate, without the cost that a policy sets."""
    return {name: getattr(candidate, name) for name in Candidate.__slots__ if name != "cost"}


def choices(
    policy: Policy, rounds: list[list[Figures]], deadline_ms: float | None
) -> Iterator[tuple[Choice, list[Candidate]]]:
    """Yield the choice and the candidates of each round, with frozen time and a seeded generator."""
    picker, rng = Picker(policy), random.Random(0)
    request = Request(RoutingContext(max_latency_ms=deadline_ms), deadline_ms, 10.0)
    for figures in rounds:
        candidates = candidates_of(figures)
        offered = list(candidates)
        yield picker.pick(candidates, request, rng), offered


def test_every_policy_is_registered_under_its_name():
    written = {
        policy
        for policy in (*classes_of(policies), *classes_of(baselines))
        if issubclass(policy, Policy) and not inspect.isabstract(policy)
    }
    assert written == set(POLICIES.values())
    assert all(policy.name == name for name, policy in POLICIES.items())


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestChoice:
    @given(rounds=ROUNDS, deadline_ms=DEADLINES)
    def test_is_one_of_the_candidates_with_a_possible_propensity(self, spelling, rounds, deadline_ms):
        for (chosen, propensity, probe), offered in choices(create_policy(spelling), rounds, deadline_ms):
            assert any(chosen is candidate for candidate in offered)
            assert 0.0 < propensity <= 1.0
            assert isinstance(probe, bool)

    @given(rounds=ROUNDS, deadline_ms=DEADLINES)
    def test_puts_a_finite_cost_on_every_candidate(self, spelling, rounds, deadline_ms):
        for _, offered in choices(create_policy(spelling), rounds, deadline_ms):
            assert all(math.isfinite(candidate.cost) for candidate in offered)

    @given(rounds=ROUNDS, priority=st.integers())
    def test_costs_stay_finite_at_any_priority(self, spelling, rounds, priority):
        policy, request = create_policy(spelling), Request(RoutingContext(priority=priority), None, 10.0)
        for figures in rounds:
            candidates = candidates_of(figures)
            policy.score(candidates, request)
            assert all(math.isfinite(candidate.cost) for candidate in candidates)

    @given(rounds=ROUNDS, deadline_ms=DEADLINES)
    def test_is_drawn_from_probabilities_that_add_up_to_one(self, spelling, rounds, deadline_ms):
        policy = create_policy(spelling)
        for _, offered in choices(policy, rounds, deadline_ms):
            probabilities = policy.probabilities(offered)
            assert len(probabilities) == len(offered)
            assert all(probability >= 0.0 for probability in probabilities)
            assert sum(probabilities) == pytest.approx(1.0)

    @given(rounds=ROUNDS, deadline_ms=DEADLINES)
    def test_is_the_same_again_with_the_same_seed_and_time(self, spelling, rounds, deadline_ms):
        def picked() -> list[tuple[str, float, bool]]:
            made = choices(create_policy(spelling), rounds, deadline_ms)
            return [(candidate.variant.name, propensity, probe) for (candidate, propensity, probe), _ in made]

        assert picked() == picked()

    @given(rounds=ROUNDS, deadline_ms=DEADLINES)
    def test_changes_nothing_of_a_candidate_but_its_cost(self, spelling, rounds, deadline_ms):
        for figures, (_, offered) in zip(
            rounds, choices(create_policy(spelling), rounds, deadline_ms), strict=True
        ):
            untouched = [shown(candidate) for candidate in candidates_of(figures)]
            assert [shown(candidate) for candidate in offered] == untouched


OVERWHELMING = 1e40


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestWeights:
    @given(
        figures=st.lists(FIGURES, min_size=len(NAMES), max_size=len(NAMES)),
        preferred=st.integers(1, len(NAMES) - 1),
        seed=st.integers(0, 1000),
    )
    def test_one_that_is_high_enough_decides_whatever_is_predicted(self, spelling, figures, preferred, seed):
        """Without the first variant, which `static` names, and which its weight cannot replace."""
        policy, candidates = create_policy(spelling), candidates_of(figures)
        request = Request(RoutingContext(), None, 10.0)
        for candidate in candidates:
            latency_ms = candidate.latency_ms
            policy.observe(
                execution_of(policy, candidate, latency_ms=latency_ms, service_ms=candidate.service_ms)
            )
        candidates[preferred].weight = OVERWHELMING
        picker, rng = Picker(policy), random.Random(seed)
        for _ in range(3):
            chosen, propensity, probe = picker.pick(candidates[1:], request, rng)
            assert chosen is candidates[preferred] or probe
            assert propensity == pytest.approx(1.0)

    @given(rounds=ROUNDS, deadline_ms=DEADLINES, weight=st.sampled_from((0.25, 4.0)))
    def test_equal_ones_change_nothing_but_when_to_probe(self, spelling, rounds, deadline_ms, weight):
        def picked(weight: float) -> list[str]:
            policy, rng = create_policy(spelling), random.Random(0)
            policy.explores = False  # costs in ms are compared with a budget in ms
            picker, request = Picker(policy), Request(RoutingContext(), deadline_ms, 10.0)
            names = []
            for figures in rounds:
                candidates = candidates_of(figures)
                for candidate in candidates:
                    candidate.weight = weight
                names.append(picker.pick(candidates, request, rng)[0].variant.name)
            return names

        assert picked(weight) == picked(1.0)


class End(NamedTuple):
    """How an attempt at one of the variants ended; only a measured answer has times."""

    variant: int
    outcome: Outcome
    size: float
    propensity: float
    latency_ms: float | None
    service_share: float | None


END = {
    "variant": st.integers(0, len(NAMES) - 1),
    "size": st.floats(1e-3, 1e6),
    "propensity": st.floats(1e-3, 1.0),
}
ANSWERS = st.builds(
    End,
    outcome=st.just(Outcome.SUCCESS),
    latency_ms=st.one_of(st.none(), st.floats(1e-3, 1e7)),
    service_share=st.one_of(st.none(), st.floats(1e-3, 1.0)),
    **END,
)
OTHERS = st.builds(
    End,
    outcome=st.sampled_from((Outcome.FAILURE, Outcome.IGNORED)),
    latency_ms=st.none(),
    service_share=st.none(),
    **END,
)
ENDS = st.lists(st.one_of(ANSWERS, OTHERS), max_size=30)


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestLearning:
    @given(ends=ENDS, figures=st.lists(FIGURES, min_size=len(NAMES), max_size=len(NAMES)))
    def test_any_end_at_any_time_leaves_the_costs_finite(self, spelling, ends, figures):
        """Includes variants that this policy never picked: another policy routed the request."""
        policy, rng = create_policy(spelling), random.Random(0)
        picker, candidates = Picker(policy), candidates_of(figures)
        for second, (variant, outcome, size, propensity, latency_ms, share) in enumerate(ends):
            service_ms = None if latency_ms is None or share is None else share * latency_ms
            execution = execution_of(
                policy,
                candidates[variant],
                outcome,
                latency_ms=latency_ms,
                service_ms=service_ms,
                fault=Fault.ERROR if outcome is Outcome.FAILURE else None,
                size=size,
                propensity=propensity,
                finished_s=float(second),
            )
            policy.observe(execution)
            request = Request(RoutingContext(), None, float(second))
            chosen, stated, _ = picker.pick(candidates, request, rng)
            assert any(chosen is candidate for candidate in candidates)
            assert all(math.isfinite(candidate.cost) for candidate in candidates)
            assert 0.0 < stated <= 1.0


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestInTheRouter:
    @staticmethod
    def run(spelling: str, seed: int, requests: int = 400) -> tuple[ModelRouter, list[RoutingDecision]]:
        """Serve requests that succeed, fail, are ignored, dropped or come with invalid latencies."""
        now_s = [1000.0]
        world = random.Random(seed)
        router = ModelRouter(ModelSettings(policy=spelling), clock=lambda: now_s[0], rng=random.Random(seed))
        variants = [Variant(name, Device.CPU, 1 + i % 2, 16) for i, name in enumerate(NAMES)]
        router.register_model("resnet50", variants=variants)
        pending: list[RoutingDecision] = []
        made: list[RoutingDecision] = []
        for _ in range(requests):
            now_s[0] += world.choice((0.0, 0.001, 0.01, 1.0, -0.5))
            context = RoutingContext(
                batch_size=world.choice((1, 4, 16)),
                max_latency_ms=world.choice((None, None, 20.0)),
                excluded_variants=frozenset(world.sample(NAMES, world.choice((0, 0, 1)))),
            )
            try:
                pending.append(router.route_request("resnet50", context))
            except NoVariantError:
                now_s[0] += 60.0
                continue
            made.append(pending[-1])
            while pending and world.random() < 0.6:
                decision = pending.pop(world.randrange(len(pending)))
                bad = world.choice((math.nan, math.inf, -1.0, 0.0, 1e300))
                end = world.choice(("answer",) * 12 + ("bad", "error", "dead", "ignored"))
                latency_ms = {"answer": world.uniform(1.0, 50.0), "bad": bad}.get(end)
                error = {"error": Fault.ERROR, "dead": Fault.DEAD}.get(end)
                router.record_execution(decision, latency_ms=latency_ms, error=error)
        for decision in pending:
            router.record_execution(decision)
        return router, made

    @pytest.mark.parametrize("seed", range(3))
    def test_a_run_with_failures_leaves_nothing_in_flight_and_valid_numbers(self, spelling, seed):
        router, made = self.run(spelling, seed)
        assert len(made) > 200
        for name in NAMES:
            assert router.model("resnet50").state(name).load.in_flight == 0
            assert math.isfinite(router.model("resnet50").state(name).profile.latency.predict(8.0, now_s=1e6))
        for decision in made:
            assert decision.policy == create_policy(spelling).label
            assert 0.0 <= decision.expected_latency_ms < math.inf
            assert 0.0 <= decision.confidence <= 1.0
            scores = [candidate.score for candidate in decision.candidates]
            assert len(scores) == len(NAMES)
            assert all(0.0 <= score <= 1.0 for score in scores)
            (own,) = (c for c in decision.candidates if c.variant == decision.variant)
            assert own.reason_out is None

    def test_the_run_can_be_replayed(self, spelling):
        def recorded(decisions: list[RoutingDecision]) -> list[tuple[str, float, float, bool]]:
            return [(d.variant, d.expected_latency_ms, d.propensity, d.probe) for d in decisions]

        assert recorded(self.run(spelling, seed=1)[1]) == recorded(self.run(spelling, seed=1)[1])
