"""`ModelRouter` in several threads."""

import itertools
import math
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.router.served import CPU, GPU, FirstOfAll, in_flight


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Switch between threads after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


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
