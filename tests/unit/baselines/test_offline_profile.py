import random

import pytest

from router_backend.baselines.offline_profile import FrozenLaw, FrozenQueue, OfflineProfilePolicy
from router_backend.core.records.outcome import Outcome
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from tests.unit.baselines.replicas import answer, choose, holding
from tests.unit.core.candidates import candidate_of, execution_of

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


class TestFrozenQueue:
    def test_a_request_that_ended_is_waited_for_no_longer(self):
        queue = FrozenQueue(concurrency=1)
        queue.sent(10.0, now_s=0.0)
        queue.sent(4.0, now_s=0.001)
        queue.ended(0.0, now_s=0.009, answered=True)
        assert queue.wait_ms(in_flight=1, now_s=0.010) == pytest.approx(3.0)

    def test_the_end_of_a_request_that_it_never_saw_changes_nothing(self):
        queue = FrozenQueue(concurrency=1)
        queue.sent(10.0, now_s=0.0)
        queue.ended(0.5, now_s=0.6, answered=True)
        assert queue.wait_ms(in_flight=1, now_s=0.0) == 10.0

    def test_the_oldest_are_taken_for_dropped_where_fewer_are_in_flight(self):
        queue = FrozenQueue(concurrency=1)
        queue.sent(10.0, now_s=0.0)
        queue.sent(4.0, now_s=0.001)
        assert queue.wait_ms(in_flight=1, now_s=0.001) == 4.0
        assert queue.wait_ms(in_flight=0, now_s=0.001) == 0.0


class TestWithExactLaws:
    def test_an_idle_candidate_costs_what_its_law_says(self):
        gpu, cpu = holding("gpu"), holding("cpu")
        assert choose(OfflineProfilePolicy(LAWS), cpu, gpu, size=4)[0] is gpu
        assert (gpu.cost, cpu.cost) == (6.0, 34.0)

    def test_nothing_that_happens_changes_them(self):
        policy, gpu = OfflineProfilePolicy(LAWS), holding("gpu")
        for _ in range(30):
            answer(policy, gpu, 500.0)
        choose(policy, gpu, size=4)
        assert gpu.cost == 6.0

    def test_the_wait_is_what_the_laws_say_of_the_requests_in_flight(self):
        """10 ms and 4 ms are ahead, 3 ms of them done; that the router expects 1 ms each does not count."""
        policy, gpu = OfflineProfilePolicy(LAWS), candidate_of("gpu", 1.0)
        for size, now_s in ((8, 0.000), (2, 0.001)):
            choose(policy, gpu, now_s=now_s, size=size)
            gpu.in_flight += 1
        choose(policy, gpu, now_s=0.003)
        assert gpu.cost == pytest.approx(10.0 + 4.0 - 3.0 + 3.0)

    def test_the_choice_considers_the_queue(self):
        """Four requests of 3 ms ahead make the fast variant slower than the other: 15 against 13 ms."""
        policy, gpu, cpu = OfflineProfilePolicy(LAWS), candidate_of("gpu", 1.0), candidate_of("cpu", 1.0)
        picked = []
        for _ in range(5):
            picked.append(choose(policy, gpu, cpu)[0])
            picked[-1].in_flight += 1
        assert picked == [gpu, gpu, gpu, gpu, cpu]

    @pytest.mark.parametrize("outcome", Outcome)
    def test_a_request_leaves_the_queue_however_it_ended(self, outcome):
        policy, gpu = OfflineProfilePolicy(LAWS), candidate_of("gpu", 1.0)
        for size, sent_s in ((8, 0.0), (2, 0.001)):
            choose(policy, gpu, now_s=sent_s, size=size)
            gpu.in_flight += 1
        policy.observe(execution_of(policy, gpu, outcome, sent_s=0.0, finished_s=0.002))
        gpu.in_flight = 1
        choose(policy, gpu, now_s=0.002)
        assert gpu.cost == pytest.approx(4.0 + 3.0)

    def test_room_at_another_instance_is_no_wait(self):
        policy, gpu = OfflineProfilePolicy(LAWS), candidate_of("gpu", 1.0, concurrency=2)
        choose(policy, gpu)
        gpu.in_flight = 1
        choose(policy, gpu)
        assert gpu.cost == 3.0


class TestWithoutLaws:
    def test_before_the_first_execution_the_router_s_guess_is_used(self):
        guessed = candidate_of("guessed", 7.0)
        choose(OfflineProfilePolicy(), guessed)
        assert guessed.cost == 7.0

    def test_the_law_is_learned_from_the_service_without_the_wait(self):
        policy, gpu = OfflineProfilePolicy(), candidate_of("gpu", 1.0)
        answer(policy, gpu, 20.0)
        answer(policy, gpu, 25.0, service_ms=10.0)
        choose(policy, gpu)
        assert gpu.cost == pytest.approx(learned_from(20.0, 10.0), rel=1e-6)

    def test_an_end_without_a_measurement_teaches_nothing(self):
        policy, gpu = OfflineProfilePolicy(), candidate_of("gpu", 1.0)
        for outcome in (Outcome.FAILURE, Outcome.IGNORED, Outcome.SUCCESS):
            policy.observe(execution_of(policy, gpu, outcome))
        choose(policy, gpu)
        assert gpu.cost == 1.0

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


def router_with_laws() -> ModelRouter:
    router = ModelRouter(clock=lambda: 0.0, rng=random.Random(0))
    router.register_model("resnet50", variants=[Variant(name, Device.CPU) for name in ("cpu", "gpu")])
    router.set_routing_policy(lambda: OfflineProfilePolicy(LAWS))
    return router


def test_the_router_takes_a_policy_that_was_created_with_laws():
    decision = router_with_laws().route_request("resnet50", RoutingContext(batch_size=8))
    assert (decision.variant, decision.policy) == ("gpu", "offline_profile")


def test_the_size_is_by_elements_where_they_are_known():
    router = router_with_laws()
    for batch_size, elements, service_ms in ((1, 100, 3.0), (2, 800, 10.0)):
        decision = router.route_request("resnet50", RoutingContext(batch_size, elements))
        assert router.model("resnet50").state("gpu").candidate.cost == service_ms
        router.record_execution(decision)
