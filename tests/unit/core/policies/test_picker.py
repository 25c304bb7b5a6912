"""The pick by the costs of a policy: the lowest cost, a drawn candidate, or a probe."""

import random
from collections.abc import Sequence

import pytest

from router_backend.core.policies.base import Policy
from router_backend.core.policies.picker import Picker, lowest_cost
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.candidates import candidate_of, pick, request_of


class ByLatency(Policy):
    """The cost is the predicted latency."""

    name = "by_latency"

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        for candidate in candidates:
            candidate.cost = candidate.latency_ms


class Exploring(ByLatency):
    """The same, but the picker may explore."""

    name = "exploring"
    explores = True


class Drawing(ByLatency):
    """Draws by the latency: the shorter, the more likely."""

    name = "drawing"
    explores = True

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        rates = [1.0 / candidate.cost for candidate in candidates]
        return [rate / sum(rates) for rate in rates]


class Remembering(ByLatency):
    """Keeps the requests for which it was called."""

    name = "remembering"

    def __init__(self) -> None:
        self.seen: list[tuple[int, float | None, float]] = []

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        super().score(candidates, request)
        self.seen.append((request.context.batch_size, request.deadline_ms, request.now_s))


def test_a_weight_divides_a_cost_and_multiplies_a_negative_one():
    class AsGiven(ByLatency):
        name = "as_given"

        def score(self, candidates: Sequence[Candidate], request: Request) -> None:
            for candidate, cost in zip(candidates, (6.0, -6.0, 0.0), strict=True):
                candidate.cost = cost

    candidates = [candidate_of(name, 1.0, weight=2.0) for name in "abc"]
    assert pick(AsGiven(), *candidates)[0] is candidates[1]
    assert [candidate.cost for candidate in candidates] == [3.0, -12.0, 0.0]


def test_a_weight_multiplies_a_probability():
    light, heavy = candidate_of("light", 10.0), candidate_of("heavy", 30.0, weight=9.0)
    candidate, propensity, _ = pick(Drawing(), light, heavy)
    assert propensity == pytest.approx(0.75 if candidate is heavy else 0.25)


def uncertain_pair() -> list[Candidate]:
    """Return two candidates, of which the second would be best if it were two deviations faster."""
    return [candidate_of("best", 10.0), candidate_of("other", 10.5, relative_sd=0.3)]


@pytest.mark.parametrize("cheapest", [0, 1, 2])
def test_the_candidate_of_lowest_cost_is_picked_with_certainty(cheapest):
    candidates = [candidate_of(name, 3.0 if index == cheapest else 9.0) for index, name in enumerate("abc")]
    assert pick(ByLatency(), *candidates) == (candidates[cheapest], 1.0, False)


def test_of_equal_costs_the_first_is_picked():
    candidates = [candidate_of("dear", 12.0), candidate_of("first", 9.0), candidate_of("second", 9.0)]
    assert pick(ByLatency(), *candidates)[0] is candidates[1]
    assert lowest_cost(candidates) is candidates[1]


def test_the_only_candidate_is_picked():
    only = candidate_of("only", 9.0)
    assert [pick(policy, only) for policy in (ByLatency(), Exploring(), Drawing())] == [
        (only, 1.0, False)
    ] * 3


def test_the_policy_scores_for_the_request_that_is_routed():
    policy = Remembering()
    request = Request(RoutingContext(batch_size=8), 20.0, 5.0)
    Picker(policy).pick([candidate_of("a", 9.0)], request, random.Random(0))
    assert policy.seen == [(8, 20.0, 5.0)]


class TestDraws:
    def test_candidates_are_drawn_as_often_as_the_policy_states(self):
        picker, rng = Picker(Drawing()), random.Random(0)
        candidates = [candidate_of("a", 10.0), candidate_of("b", 30.0)]
        drawn = [picker.pick(candidates, request_of(), rng)[0].variant.name for _ in range(4000)]
        assert drawn.count("a") / len(drawn) == pytest.approx(0.75, abs=0.03)

    def test_the_propensity_is_the_probability_that_the_policy_states(self):
        picker, rng = Picker(Drawing()), random.Random(0)
        candidates = [candidate_of("a", 10.0), candidate_of("b", 30.0)]
        stated = {
            candidate.variant.name: propensity
            for candidate, propensity, _ in (picker.pick(candidates, request_of(), rng) for _ in range(50))
        }
        assert stated == pytest.approx({"a": 0.75, "b": 0.25})

    def test_a_drawn_candidate_is_not_a_probe(self):
        picker, rng = Picker(Drawing()), random.Random(0)
        assert not any(picker.pick(uncertain_pair(), request_of(), rng)[2] for _ in range(200))

    def test_a_policy_that_defines_no_probabilities_is_certain_of_its_lowest_cost(self):
        candidates = [candidate_of("a", 12.0), candidate_of("b", 9.0), candidate_of("c", 9.0)]
        policy = ByLatency()
        policy.score(candidates, request_of())
        assert policy.probabilities(candidates) == [0.0, 1.0, 0.0]
        assert (ByLatency.draws, Drawing.draws) == (False, True)


class TestProbes:
    def test_a_policy_that_does_not_explore_never_probes(self):
        picker, rng = Picker(ByLatency()), random.Random(0)
        pair = uncertain_pair()
        assert all(picker.pick(pair, request_of(), rng) == (pair[0], 1.0, False) for _ in range(1000))

    def test_a_policy_that_explores_probes_once_earlier_requests_have_paid_for_it(self):
        """An excess of 0.5 ms needs 17 requests of 10 ms, 0.03 ms each."""
        picker, rng = Picker(Exploring()), random.Random(0)
        pair = uncertain_pair()
        picks = [picker.pick(pair, request_of(), rng) for _ in range(17)]
        assert picks == [(pair[0], 1.0, False)] * 16 + [(pair[1], 1.0, True)]

    def test_after_a_probe_its_worst_case_has_to_be_paid_before_the_next(self):
        """A probe leaves 0.51 - (0.5 + 2 · 0.3 · 10.5) = -6.29 ms: 227 requests later it is 0.52 again."""
        picker, rng = Picker(Exploring()), random.Random(0)
        pair = uncertain_pair()
        probes = [n for n in range(1, 300) if picker.pick(pair, request_of(), rng)[2]]
        assert probes == [17, 17 + 227]
