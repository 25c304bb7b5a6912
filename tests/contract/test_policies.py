"""What every policy must satisfy, whichever rule it follows.

A new policy of the registry is found by itself; what it takes after its colon is to be added to `ARGUMENTS`.
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
from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.policies.base import Choice, Policy
from router_backend.core.policies.registry import POLICIES, create_policy
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.profile import VariantProfile
from router_backend.errors import NoVariantError
from tests.contract.discovery import classes_of

NAMES = ("v0", "v1", "v2", "v3", "v4")
ARGUMENTS = {"static": NAMES[0]}
SPELLINGS = [f"{kind}:{ARGUMENTS[kind]}" if kind in ARGUMENTS else kind for kind in POLICIES]


class Figures(NamedTuple):
    """What a candidate predicts for a request."""

    service_ms: float
    wait_ms: float
    utilization: float
    answers: int


FIGURES = st.builds(
    Figures,
    service_ms=st.floats(1e-3, 1e6),
    wait_ms=st.one_of(st.just(0.0), st.floats(0.0, 1e7)),
    utilization=st.floats(0.0, 5.0),
    answers=st.integers(0, 5),
)
ROUNDS = st.lists(st.lists(FIGURES, min_size=1, max_size=len(NAMES)), min_size=1, max_size=8)
DEADLINES = st.one_of(st.none(), st.floats(-1.0, 1e6))


def candidates_of(figures: list[Figures]) -> list[VariantProfile]:
    """Candidates that predict these figures; their costs are no numbers until a policy sets them."""
    candidates = []
    for name, (service_ms, wait_ms, utilization, answers) in zip(NAMES, figures, strict=False):
        candidate = VariantProfile(Variant(name, Device.CPU, concurrency=1 + len(candidates) % 3), 0.9)
        for second in range(answers):
            candidate.latency.update(1.0, service_ms, now_s=float(second))
        candidate.service_ms, candidate.wait_ms, candidate.utilization = service_ms, wait_ms, utilization
        candidate.cost = math.nan
        candidates.append(candidate)
    return candidates


def choices(
    policy: Policy, rounds: list[list[Figures]], max_latency_ms: float | None
) -> Iterator[tuple[Choice, list[VariantProfile]]]:
    """The policy's choice in each round, and among which candidates, with frozen time and seeded chance."""
    rng, context = random.Random(0), RoutingContext(max_latency_ms=max_latency_ms)
    for figures in rounds:
        candidates = candidates_of(figures)
        offered = list(candidates)
        yield policy.choose(candidates, context, 10.0, rng), offered


def test_every_policy_that_is_written_is_registered_under_its_name():
    written = {
        policy
        for policy in (*classes_of(policies), *classes_of(baselines))
        if issubclass(policy, Policy) and not inspect.isabstract(policy)
    }
    assert written == set(POLICIES.values())
    assert all(policy.name == name for name, policy in POLICIES.items())


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestChoice:
    @given(rounds=ROUNDS, max_latency_ms=DEADLINES)
    def test_is_one_of_the_candidates_with_a_possible_propensity(self, spelling, rounds, max_latency_ms):
        for choice, offered in choices(create_policy(spelling), rounds, max_latency_ms):
            assert any(choice.candidate is candidate for candidate in offered)
            assert 0.0 < choice.propensity <= 1.0
            assert isinstance(choice.probe, bool)

    @given(rounds=ROUNDS, max_latency_ms=DEADLINES)
    def test_puts_a_finite_cost_on_every_candidate(self, spelling, rounds, max_latency_ms):
        for _, offered in choices(create_policy(spelling), rounds, max_latency_ms):
            assert all(math.isfinite(candidate.cost) for candidate in offered)

    @given(rounds=ROUNDS, max_latency_ms=DEADLINES)
    def test_is_the_same_again_with_the_same_seed_and_time(self, spelling, rounds, max_latency_ms):
        def picked() -> list[tuple[str, float, bool]]:
            made = choices(create_policy(spelling), rounds, max_latency_ms)
            return [(choice.candidate.variant.name, choice.propensity, choice.probe) for choice, _ in made]

        assert picked() == picked()

    @given(rounds=ROUNDS, max_latency_ms=DEADLINES)
    def test_changes_nothing_of_a_candidate_but_its_cost(self, spelling, rounds, max_latency_ms):
        for figures, (_, offered) in zip(
            rounds, choices(create_policy(spelling), rounds, max_latency_ms), strict=True
        ):
            shown = [(c.service_ms, c.wait_ms, c.utilization) for c in offered]
            assert shown == [each[:3] for each in figures]
            assert all(candidate.load.in_flight == 0 for candidate in offered)


class Answer(NamedTuple):
    """An answer of one of the variants."""

    variant: int
    size: float
    propensity: float
    latency_ms: float


ANSWERS = st.lists(
    st.builds(
        Answer,
        variant=st.integers(0, len(NAMES) - 1),
        size=st.floats(1e-3, 1e6),
        propensity=st.floats(1e-3, 1.0),
        latency_ms=st.floats(1e-3, 1e7),
    ),
    max_size=30,
)


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestLearning:
    @given(answers=ANSWERS, figures=st.lists(FIGURES, min_size=len(NAMES), max_size=len(NAMES)))
    def test_any_answer_may_come_at_any_time_and_leaves_the_costs_finite(self, spelling, answers, figures):
        """Also one of a variant that this policy never picked: another one had routed it before."""
        policy, rng = create_policy(spelling), random.Random(0)
        candidates = candidates_of(figures)
        for second, (variant, size, propensity, latency_ms) in enumerate(answers):
            policy.observe(candidates[variant], size, propensity, latency_ms, float(second))
            choice = policy.choose(list(candidates), RoutingContext(), float(second), rng)
            assert any(choice.candidate is candidate for candidate in candidates)
            assert all(math.isfinite(candidate.cost) for candidate in candidates)
            assert 0.0 < choice.propensity <= 1.0


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestInTheRouter:
    @staticmethod
    def run(spelling: str, seed: int, requests: int = 400) -> tuple[ModelRouter, list[RoutingDecision]]:
        """Serve requests that succeed, fail, are ignored, dropped or come with latencies that cannot be."""
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
                outcome = world.choice(("answer",) * 12 + ("bad", "error", "dead", "ignored"))
                latency_ms = {"answer": world.uniform(1.0, 50.0), "bad": bad}.get(outcome)
                error = {"error": Fault.ERROR, "dead": Fault.DEAD}.get(outcome)
                router.record_execution(decision, latency_ms=latency_ms, error=error)
        for decision in pending:
            router.record_execution(decision)
        return router, made

    @pytest.mark.parametrize("seed", range(3))
    def test_a_rough_run_leaves_nothing_in_flight_and_every_number_sound(self, spelling, seed):
        router, made = self.run(spelling, seed)
        assert len(made) > 200
        for name in NAMES:
            assert router.model("resnet50").state(name).load.in_flight == 0
            assert math.isfinite(router.model("resnet50").state(name).latency.predict(8.0))
        for decision in made:
            assert decision.policy == create_policy(spelling).name
            assert 0.0 <= decision.expected_latency_ms < math.inf
            assert 0.0 <= decision.confidence <= 1.0
            scores = [candidate.score for candidate in decision.candidates]
            assert len(scores) == len(NAMES)
            assert all(0.0 <= score <= 1.0 for score in scores)
            (own,) = (c for c in decision.candidates if c.variant == decision.variant)
            assert own.reason_out is None

    def test_the_run_can_be_replayed(self, spelling):
        def told(decisions: list[RoutingDecision]) -> list[tuple[str, float, float, bool]]:
            return [(d.variant, d.expected_latency_ms, d.propensity, d.probe) for d in decisions]

        assert told(self.run(spelling, seed=1)[1]) == told(self.run(spelling, seed=1)[1])
