"""The pick by the costs of a policy: the lowest cost, a drawn candidate, or a probe."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core.policies.base import Policy
from router_backend.core.policies.exploration import chance
from router_backend.core.policies.picker import Picker, add_retries, draw, lowest_cost, rivals_of
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.candidates import candidate_of, pick, request_of


def explore(
    candidates: Sequence[Candidate], best: Candidate, usual_cost: float, rng: random.Random
) -> tuple[Candidate, float, bool]:
    rivals = rivals_of(candidates, best, usual_cost)
    return draw(rivals, best, rng) if rivals else (best, 1.0, False)


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
            for candidate, cost in zip(candidates, (6.0, -6.0, 0.0, 0.5), strict=True):
                candidate.cost = cost

    candidates = [candidate_of(name, 1.0, weight=2.0) for name in "abcd"]
    assert pick(AsGiven(), *candidates)[0] is candidates[1]
    assert [candidate.cost for candidate in candidates] == [3.0, -12.0, 0.0, 0.25]


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


class Drawn(random.Random):
    """Draws one given number."""

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self.number = number

    def random(self) -> float:
        return self.number


class Partly(Exploring):
    """The same, but only the last candidate may be explored."""

    name = "partly"

    def explorable(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        return candidates[-1:]


def costing(*figures: tuple[float, float]) -> list[Candidate]:
    """Return candidates by their cost in ms and relative standard deviation."""
    made = [candidate_of(f"v{n}", cost, relative_sd=sd) for n, (cost, sd) in enumerate(figures)]
    for each in made:
        each.cost = each.service_ms
    return made


COSTS = st.lists(st.tuples(st.floats(1.0, 30.0), st.floats(0.0, 1.0)), min_size=1, max_size=5)


class TestProbes:
    def test_a_policy_that_does_not_explore_never_probes(self):
        picker, rng = Picker(ByLatency()), random.Random(0)
        pair = uncertain_pair()
        assert all(picker.pick(pair, request_of(), rng) == (pair[0], 1.0, False) for _ in range(1000))

    def test_a_policy_that_explores_draws_each_by_its_chance(self):
        picker, rng = Picker(Exploring()), random.Random(0)
        candidates = [candidate_of("best", 10.0), candidate_of("other", 12.0, relative_sd=0.3)]
        picks = [picker.pick(candidates, request_of(), rng) for _ in range(5000)]
        p = chance(candidates[1], candidates[0], 10.0)
        assert 0.05 < p < 0.2
        probes = [pick for pick in picks if pick[2]]
        assert len(probes) / len(picks) == pytest.approx(p, rel=0.15)
        assert all(probe == (candidates[1], pytest.approx(p), True) for probe in probes)
        assert all(pick == (candidates[0], pytest.approx(1.0 - p), False) for pick in picks if not pick[2])

    def test_one_that_is_certainly_worse_is_never_drawn(self):
        picker, rng = Picker(Exploring()), random.Random(0)
        candidates = [candidate_of("best", 10.0), candidate_of("worse", 11.0, relative_sd=0.01)]
        assert all(
            picker.pick(candidates, request_of(), rng) == (candidates[0], 1.0, False) for _ in range(99)
        )

    def test_only_those_that_the_policy_allows_are_drawn(self):
        picker, rng = Picker(Partly()), random.Random(0)
        candidates = costing((10.0, 0.3), (10.5, 0.3), (10.5, 0.3))
        drawn = {picker.pick(candidates, request_of(), rng)[0].variant.name for _ in range(300)}
        assert drawn == {"v0", "v2"}

    def test_what_is_usual_follows_the_costs_slowly(self):
        """By a hundredth of the difference: the chance is in proportion to it."""
        rng, picker = Drawn(0.999999), Picker(Exploring())
        for ms in (10.0, 30.0, 30.0):
            equals = [candidate_of("one", ms), candidate_of("other", ms)]
            picker.pick(equals, request_of(), rng)
        usual = 10.0 + 0.2
        usual += 0.01 * (30.0 - usual)
        pair = [candidate_of("best", 20.0), candidate_of("other", 24.0, relative_sd=0.3)]
        (_, propensity, _) = picker.pick(pair, request_of(), rng)
        assert 1.0 - propensity == pytest.approx(chance(pair[1], pair[0], usual))

    def test_two_pickers_do_not_share_what_is_usual(self):
        rng = Drawn(0.999999)
        pair = [candidate_of("best", 20.0), candidate_of("other", 24.0, relative_sd=0.3)]
        busy, fresh = Picker(Exploring()), Picker(Exploring())
        for _ in range(100):
            busy.pick([candidate_of("one", 90.0), candidate_of("other", 90.0)], request_of(), rng)
        assert busy.pick(pair, request_of(), rng)[1] < fresh.pick(pair, request_of(), rng)[1]


class TestExplore:
    def test_the_odds_of_each_against_the_best_are_those_of_its_chance(self):
        candidates = costing((10.0, 0.0), (12.0, 0.3), (13.0, 0.4))
        odds = [p / (1.0 - p) for p in (chance(each, candidates[0], 10.0) for each in candidates[1:])]
        total = 1.0 + sum(odds)
        picks = [
            explore(candidates, candidates[0], 10.0, Drawn(number))
            for number in (0.0, (odds[0] + 1e-9) / total, 0.999999)
        ]
        assert picks == [
            (candidates[1], pytest.approx(odds[0] / total), True),
            (candidates[2], pytest.approx(odds[1] / total), True),
            (candidates[0], pytest.approx(1.0 / total), False),
        ]

    @pytest.mark.parametrize("count", [2, 3, 5])
    def test_equals_are_drawn_with_equal_probability_and_are_no_probes(self, count):
        candidates, rng = costing(*[(10.0, 0.1)] * count), random.Random(0)
        picks = [explore(candidates, candidates[0], 10.0, rng) for _ in range(3000)]
        equal = (pytest.approx(1.0 / count), False)
        assert all((propensity, probe) == equal for _, propensity, probe in picks)
        for each in candidates:
            share = sum(drawn is each for drawn, _, _ in picks) / len(picks)
            assert share == pytest.approx(1.0 / count, rel=0.15)

    @pytest.mark.parametrize(("excess_ms", "rivals"), [(2.99, 1), (3.01, 0)])
    def test_an_excess_of_more_than_three_standard_deviations_is_not_doubted(self, excess_ms, rivals):
        best, other = costing((10.0, 0.0), (10.0 + excess_ms, 1.0 / (10.0 + excess_ms)))
        assert len(rivals_of([best, other], best, 10.0)) == rivals

    def test_one_that_is_certainly_worse_hides_none_after_it(self):
        best, worse, doubted = costing((10.0, 0.0), (1000.0, 0.0), (10.5, 0.3))
        assert [candidate for candidate, _ in rivals_of([best, worse, doubted], best, 10.0)] == [doubted]

    def test_a_chance_below_one_in_a_million_is_none(self):
        candidates = costing((10.0, 0.0), (1e6, 0.3))
        assert 0.0 < chance(candidates[1], candidates[0], 10.0) < 1e-6
        assert explore(candidates, candidates[0], 10.0, Drawn(0.0)) == (candidates[0], 1.0, False)

    def test_a_chance_above_that_is_one(self):
        candidates = costing((10.0, 0.0), (1e3, 0.3))
        p = chance(candidates[1], candidates[0], 10.0)
        assert 1e-6 < p < 2e-6
        assert explore(candidates, candidates[0], 10.0, Drawn(0.0)) == (candidates[1], pytest.approx(p), True)

    @given(COSTS, st.floats(0.0, 60.0))
    def test_every_candidate_is_drawn_exactly_as_often_as_its_propensity_states(self, figures, usual):
        """Over all numbers that can be drawn, in steps of a thousandth."""
        candidates = costing(*figures)
        best, steps = lowest_cost(candidates), 1000
        shares: dict[str, float] = {}
        stated: dict[str, float] = {}
        for step in range(steps):
            drawn, propensity, probe = explore(candidates, best, usual, Drawn((step + 0.5) / steps))
            name = drawn.variant.name
            shares[name] = shares.get(name, 0.0) + 1 / steps
            assert stated.setdefault(name, propensity) == propensity
            assert probe == (drawn.cost > best.cost)
        assert shares == pytest.approx(stated, abs=0.0011)
        assert sum(stated.values()) == pytest.approx(1.0, abs=0.0011 * len(candidates))


class TestRetries:
    """A failure costs the retry at the best other candidate."""

    @staticmethod
    def costs(*figures: tuple[float, float]) -> list[float]:
        """Return what candidates cost with retries, by their cost and share of failures."""
        candidates = costing(*[(cost, 0.0) for cost, _ in figures])
        for each, (_, share) in zip(candidates, figures, strict=True):
            each.failure_share = share
        add_retries(candidates)
        return [each.cost for each in candidates]

    def test_the_best_retries_at_the_second_and_the_others_at_the_best(self):
        assert self.costs((9.7, 0.2), (10.0, 0.1), (30.0, 0.5)) == pytest.approx(
            [9.7 + 0.2 * 10.0, 10.0 + 0.1 * 9.7, 30.0 + 0.5 * 9.7]
        )

    def test_equals_retry_at_each_other(self):
        assert self.costs((10.0, 0.2), (10.0, 0.0)) == pytest.approx([12.0, 10.0])

    def test_a_lone_candidate_has_no_retry(self):
        assert self.costs((10.0, 0.9)) == [10.0]

    def test_one_that_does_not_fail_costs_the_same(self):
        assert self.costs((10.0, 0.0), (12.0, 0.0)) == [10.0, 12.0]

    @pytest.mark.parametrize(("share", "picked"), [(0.0, "failing"), (0.01, "failing"), (0.05, "steady")])
    def test_the_picker_prefers_what_costs_less_with_the_retries(self, share, picked):
        """9.7 ms beside 10 ms: worth it up to a share of 3 %."""
        failing, steady = candidate_of("failing", 9.7), candidate_of("steady", 10.0)
        failing.failure_share = share
        choice = Picker(Exploring()).pick([failing, steady], request_of(), Drawn(0.999999))
        assert choice[0].variant.name == picked
        assert failing.cost == pytest.approx(9.7 + share * 10.0)

    def test_a_policy_that_does_not_explore_is_not_told(self):
        failing, steady = candidate_of("failing", 9.7), candidate_of("steady", 10.0)
        failing.failure_share = 0.5
        assert pick(ByLatency(), failing, steady)[0] is failing

    def test_the_trial_share_is_the_propensity_of_one_that_would_be_best(self):
        failing, steady = candidate_of("failing", 9.7), candidate_of("steady", 10.0)
        failing.failure_share, failing.trial_share = 0.2, 0.04
        picks = [
            Picker(Exploring()).pick([failing, steady], request_of(), Drawn(number))
            for number in (0.0399, 0.0401)
        ]
        assert picks == [
            (failing, pytest.approx(0.04), True),
            (steady, pytest.approx(0.96), False),
        ]
