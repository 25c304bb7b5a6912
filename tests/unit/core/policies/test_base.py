"""What the base class finds out about a policy when its class is defined."""

from router_backend.core.policies.base import Policy


def test_a_policy_that_only_scores_is_asked_for_nothing_else() -> None:
    class Scorer(Policy):
        name = "scorer"

        def score(self, candidates, request) -> None: ...

    assert (Scorer.label, Scorer.draws, Scorer.learns, Scorer.counts) == ("scorer", False, False, False)


def test_a_policy_is_asked_for_what_it_defines() -> None:
    class Scorer(Policy):
        def score(self, candidates, request) -> None: ...

    class Drawer(Scorer):
        def probabilities(self, candidates): ...

    class Learner(Scorer):
        def observe(self, execution) -> None: ...

    class Counter(Scorer):
        def picked(self, candidate) -> None: ...

    class HeirOfAll(Drawer, Learner, Counter): ...

    found = {(each.draws, each.learns, each.counts) for each in (Drawer, Learner, Counter)}
    assert found == {(True, False, False), (False, True, False), (False, False, True)}
    assert (HeirOfAll.draws, HeirOfAll.learns, HeirOfAll.counts) == (True, True, True)
    assert HeirOfAll.label == "", "it has no name"
