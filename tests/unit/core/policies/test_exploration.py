from router_backend.core.policies.picker import ExplorationBudget
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.candidates import candidate_of


def candidate(
    name: str, latency_ms: float, relative_sd: float = 0.0, cost_ms: float | None = None
) -> Candidate:
    """Return a candidate whose cost is its latency, unless another is given."""
    made = candidate_of(name, latency_ms, relative_sd=relative_sd)
    made.cost = latency_ms if cost_ms is None else cost_ms
    return made


def probes(budget: ExplorationBudget, best: Candidate, other: Candidate, requests: int) -> list[int]:
    """Return the numbers, from 1, of the requests that were sent to `other` instead of the best."""
    return [n for n in range(1, requests + 1) if budget.probe([best, other], best) is other]


def test_the_only_candidate_is_never_a_probe():
    best = candidate("best", 10.0, relative_sd=1.0)
    assert ExplorationBudget().probe([best], best) is None


def test_every_request_adds_three_thousandths_of_its_latency():
    """An excess of 0.135 ms needs slightly more than five requests of 10 ms."""
    other = candidate("other", 10.135, relative_sd=0.5)
    assert probes(ExplorationBudget(), candidate("best", 10.0), other, 5) == [5]


def test_a_probe_is_charged_as_if_it_were_two_deviations_slower():
    """0.15 - (0.135 + 2 · 0.1 · 10.135) = -2.012: 72 requests of 0.03 ms later there is 0.148 again."""
    other = candidate("other", 10.135, relative_sd=0.1)
    assert probes(ExplorationBudget(), candidate("best", 10.0), other, 149) == [5, 77, 149]


def test_the_budget_holds_five_latencies_at_most():
    best = candidate("best", 10.0)
    for excess_ms, affordable in ((49.9, True), (50.1, False)):
        budget = ExplorationBudget()
        for _ in range(10_000):
            budget.probe([best], best)
        other = candidate("other", 10.0 + excess_ms, relative_sd=0.5)
        assert (budget.probe([best, other], best) is other) is affordable


def test_a_candidate_that_once_looked_hopeless_is_eventually_tried_again():
    """A first call that took 180 ms, beside a variant of 20 ms: 160 ms are saved in 2,667 requests."""
    hopeless = candidate("hopeless", 180.0, relative_sd=0.6)
    assert probes(ExplorationBudget(), candidate("best", 20.0), hopeless, 3000) == [2667]


def test_a_candidate_that_two_deviations_would_not_make_the_best_is_not_tried():
    other = candidate("other", 10.45, relative_sd=0.02)
    assert probes(ExplorationBudget(), candidate("best", 10.0), other, 200) == []


def test_the_most_promising_of_the_affordable_ones_is_tried():
    best = candidate("best", 10.0)
    likely, hopeful = candidate("likely", 10.2, 0.1), candidate("hopeful", 10.4, 0.4)
    out_of_reach = candidate("out of reach", 40.0, 1.0)
    budget = ExplorationBudget()
    for _ in range(14):
        budget.probe([best], best)
    assert budget.probe([best, likely, hopeful, out_of_reach], best) is hopeful


def test_a_probe_does_not_undo_what_the_policy_added_to_the_latency():
    """The other is faster and well known; the policy keeps it free at a price of 4 ms."""
    other = candidate("other", 10.0, relative_sd=0.05, cost_ms=14.0)
    assert probes(ExplorationBudget(), candidate("best", 12.0), other, 1000) == []


def test_probes_cost_a_small_share_of_all_latency():
    """The other is predicted and is 5 % slower: its probes cost their excess, and nothing is learned."""
    best, other = candidate("best", 10.0), candidate("other", 10.5, relative_sd=0.2)
    count = len(probes(ExplorationBudget(), best, other, 10_000))
    assert count > 0
    assert count * 0.5 <= 0.003 * 10_000 * 10.0
