import random

import pytest

from router_backend.baselines.offline_profile import FrozenLaw, OfflineProfilePolicy
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from tests.unit.baselines.replicas import answer, choose, holding
from tests.unit.core.candidates import candidate_of

LAWS = {"gpu": lambda x: 2.0 + 1.0 * x, "cpu": lambda x: 6.0 + 7.0 * x}


class TestFrozenLaw:
    def test_the_first_executions_teach_it(self):
        law = FrozenLaw()
        for x in (1.0, 1.0, 8.0, 8.0):
            law.update(x, 2.0 + x)
        assert law.predict(4.0) == pytest.approx(6.0, rel=0.05)

    def test_those_after_them_do_not(self):
        law = FrozenLaw()
        for _ in range(FrozenLaw.EXECUTIONS):
            law.update(1.0, 10.0)
        before = law.predict(1.0)
        law.update(1.0, 90.0)
        assert law.predict(1.0) == before == pytest.approx(10.0)


class TestWithExactLaws:
    def test_an_idle_candidate_costs_what_its_law_says(self):
        gpu, cpu = holding("gpu"), holding("cpu")
        assert choose(OfflineProfilePolicy(LAWS), cpu, gpu, batch_size=4).candidate is gpu
        assert (gpu.cost, cpu.cost) == (6.0, 34.0)

    def test_nothing_that_happens_changes_them(self):
        policy, gpu = OfflineProfilePolicy(LAWS), holding("gpu")
        for _ in range(30):
            answer(policy, gpu, 500.0)
        choose(policy, gpu, batch_size=4)
        assert gpu.cost == 6.0

    def test_the_size_is_by_elements_where_they_are_known(self):
        policy, gpu = OfflineProfilePolicy(LAWS), holding("gpu")
        for batch_size, elements, service_ms in ((1, 100, 3.0), (2, 800, 10.0)):
            policy.choose([gpu], RoutingContext(batch_size, elements), 0.0, random.Random(0))
            assert gpu.cost == service_ms

    def test_the_wait_is_what_the_laws_say_of_the_requests_in_flight(self):
        """10 ms and 4 ms are ahead, 3 ms of them done; that the router expects 1 ms each does not count."""
        policy, gpu = OfflineProfilePolicy(LAWS), candidate_of("gpu", 1.0)
        for batch_size, now_s in ((8, 0.000), (2, 0.001)):
            choose(policy, gpu, now_s=now_s, batch_size=batch_size)
            gpu.load.enter(gpu.service_ms, now_s)
        choose(policy, gpu, now_s=0.003, batch_size=1)
        assert gpu.cost == pytest.approx(10.0 + 4.0 - 3.0 + 3.0)

    def test_the_choice_minds_the_queue(self):
        """Seven requests of 3 ms ahead make the fast variant as late as the slow one is: 24 against 13 ms."""
        policy, gpu, cpu = OfflineProfilePolicy(LAWS), candidate_of("gpu", 1.0), candidate_of("cpu", 1.0)
        picked = []
        for _ in range(5):
            picked.append(choose(policy, gpu, cpu).candidate)
            picked[-1].load.enter(1.0, 0.0)
        assert picked == [gpu, gpu, gpu, gpu, cpu]

    def test_requests_that_it_did_not_send_count_as_the_router_expects(self):
        policy, gpu = OfflineProfilePolicy(LAWS), candidate_of("gpu", 1.0)
        gpu.load.enter(20.0, 0.0)
        choose(policy, gpu, now_s=0.005)
        assert gpu.cost == pytest.approx(15.0 + 3.0)

    def test_room_at_another_instance_is_no_wait(self):
        policy, gpu = OfflineProfilePolicy(LAWS), candidate_of("gpu", 1.0, concurrency=2)
        gpu.load.enter(20.0, 0.0)
        choose(policy, gpu)
        assert gpu.cost == 3.0


class TestWithoutLaws:
    def test_until_the_first_execution_the_guess_of_the_router_stands(self):
        guessed = candidate_of("guessed", 7.0)
        choose(OfflineProfilePolicy(), guessed)
        assert guessed.cost == 7.0

    def test_the_law_is_learned_from_the_service_without_the_wait(self):
        """Of the second answer's 25 ms only 10 were service."""
        policy, gpu = OfflineProfilePolicy(), candidate_of("gpu", 1.0)
        choose(policy, gpu, now_s=0.0)
        gpu.load.leave(gpu.load.enter(1.0, 0.0), 0.0, answered=True)
        place = gpu.load.enter(1.0, 0.0)
        choose(policy, gpu, now_s=0.005)
        gpu.load.leave(place, 0.020, answered=True)
        answer(policy, gpu, 20.0, 0.020)
        answer(policy, gpu, 25.0, 0.030)
        choose(policy, gpu, now_s=1.0)
        assert gpu.cost == pytest.approx(learned_from(20.0, 10.0), rel=1e-6)

    def test_only_variants_without_a_law_learn_one(self):
        policy, gpu, other = OfflineProfilePolicy(LAWS), holding("gpu"), holding("other")
        answer(policy, gpu, 90.0)
        answer(policy, other, 90.0)
        choose(policy, gpu, other)
        assert (gpu.cost, other.cost) == (3.0, pytest.approx(90.0))


def learned_from(*times_ms: float) -> float:
    law = FrozenLaw()
    for time_ms in times_ms:
        law.update(1.0, time_ms)
    return law.predict(1.0)


def test_the_router_takes_one_that_was_made_with_laws():
    router = ModelRouter(clock=lambda: 0.0, rng=random.Random(0))
    router.register_model("resnet50", variants=[Variant(name, Device.CPU) for name in ("cpu", "gpu")])
    router.set_routing_policy(lambda: OfflineProfilePolicy(LAWS))
    decision = router.route_request("resnet50", RoutingContext(batch_size=8))
    assert (decision.variant, decision.policy) == ("gpu", "offline_profile")
