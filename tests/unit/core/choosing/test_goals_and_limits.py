import pytest

from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.request import OptimizationGoal, RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import NOMINAL_POWER_W, Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import DeadlineError, InvalidRequestError, NoVariantError
from tests.unit.core.choosing.taught import TaughtRouter

VARIANTS = (Variant("cpu", Device.CPU), Variant("gpu", Device.GPU), Variant("ane", Device.NEURAL_ENGINE))
SERVICE_MS = {"cpu": 12.0, "gpu": 9.0, "ane": 10.0}
MEMORY_MB = {"cpu": 100.0, "gpu": 900.0, "ane": 300.0}
POWER_W = {"cpu": 60.0, "gpu": 250.0, "ane": 5.0}


def taught_router(settings: ModelSettings | None = None) -> TaughtRouter:
    return TaughtRouter(
        SERVICE_MS, variants=VARIANTS, settings=settings, memory_mb=MEMORY_MB, power_w=POWER_W
    )


def configure(taught: TaughtRouter, settings: ModelSettings) -> None:
    taught.router.configure(lambda _: settings)


def test_the_fastest_is_chosen_by_default():
    assert taught_router().chosen() == "gpu"


def test_a_request_may_name_its_devices():
    devices = frozenset({Device.CPU, Device.NEURAL_ENGINE})
    assert taught_router().chosen(allowed_devices=devices) == "ane"


def test_a_variant_that_takes_more_memory_than_the_request_allows_is_rejected():
    decision = taught_router().route(max_memory_mb=200.0)
    assert decision.variant == "cpu"
    reasons = {each.variant: each.reason_out for each in decision.candidates}
    assert reasons["gpu"] == "expected to take 900 MB, above the request's 200 MB"


def test_a_variant_that_draws_more_power_than_the_request_allows_is_rejected():
    assert taught_router().chosen(max_power_w=50.0) == "ane"


def test_a_request_with_limits_below_every_variant_is_refused_with_the_reasons():
    with pytest.raises(NoVariantError, match=r"cpu: expected to draw 60 W, above the request's 1 W; gpu: "):
        taught_router().route(max_power_w=1.0)


def test_unknown_memory_is_within_any_limit():
    decision = TaughtRouter(SERVICE_MS, variants=VARIANTS).route(max_memory_mb=1.0)
    assert decision.expected_memory_mb is None


def test_unknown_power_is_that_of_the_kind_of_device_for_limits_and_energy_alike():
    taught = TaughtRouter(SERVICE_MS, variants=VARIANTS)
    decision = taught.route(max_power_w=50.0)
    assert (decision.variant, decision.expected_power_w) == ("ane", 8.0)
    reasons = {each.variant: each.reason_out for each in decision.candidates}
    assert reasons["cpu"] == "expected to draw 65 W, above the request's 50 W"
    by_energy = taught.route(policy="power").candidates
    mj = {each.variant: NOMINAL_POWER_W[each.device] * SERVICE_MS[each.variant] for each in by_energy}
    assert min(mj, key=mj.__getitem__) == taught.chosen(policy="power")


class TestMeasuringAgain:
    """The GPU was measured at 900 MB and 250 W; requests that allow less are refused by that prediction."""

    LIMITS = (pytest.param({"max_memory_mb": 500.0}), pytest.param({"max_power_w": 100.0}))
    ONLY_GPU = frozenset({"gpu"})
    FIRST = 38
    """Refusals before the first trial: twice the decayed number of 20 readings."""

    def refused(self, taught: TaughtRouter, memory_mb: float, power_w: float, **limit: float) -> int:
        """Return how many requests are refused before one is sent, whose answer measures this use."""
        for count in range(1000):
            try:
                decision = taught.route(allowed_variants=self.ONLY_GPU, **limit)
            except NoVariantError:
                continue
            taught.now_s += 0.009
            taught.router.record_execution(decision, latency_ms=9.0, memory_mb=memory_mb, power_w=power_w)
            return count
        raise AssertionError("none was sent")

    @pytest.mark.parametrize("limit", LIMITS)
    @pytest.mark.parametrize("factor", [0.3, 0.01])
    def test_a_wrong_prediction_is_corrected_after_the_first_trial(self, limit, factor):
        """The next requests are sent, too, since the reading contradicts the prediction."""
        taught, use = taught_router(), (factor * 900.0, factor * 250.0)
        assert [self.refused(taught, *use, **limit) for _ in range(20)] == [self.FIRST, *[0] * 19]
        assert taught.route(allowed_variants=self.ONLY_GPU).expected_memory_mb == pytest.approx(use[0])

    @pytest.mark.parametrize("limit", LIMITS)
    def test_a_prediction_that_is_right_is_tried_more_and_more_rarely(self, limit):
        taught = taught_router()
        refused = [self.refused(taught, 900.0, 250.0, **limit) for _ in range(4)]
        assert refused == [self.FIRST, 2 * self.FIRST, 4 * self.FIRST, 8 * self.FIRST]

    @pytest.mark.parametrize("limit", LIMITS)
    def test_one_reading_refuses_nothing(self, limit):
        """The first reading may be wrong; the second contradicts it."""
        taught = TaughtRouter({}, variants=[Variant("gpu", Device.GPU)])
        refused = [self.refused(taught, 510.0, 500.0, **limit)]
        refused += [self.refused(taught, 50.0, 50.0, **limit) for _ in range(10)]
        assert refused == [0] * 11

    @pytest.mark.parametrize("limit", LIMITS)
    @pytest.mark.parametrize("wrong", [2, 3, 4])
    def test_a_few_wrong_readings_refuse_a_few_requests(self, limit, wrong):
        taught = TaughtRouter({}, variants=[Variant("gpu", Device.GPU)])
        refused = [self.refused(taught, 510.0, 500.0, **limit) for _ in range(wrong)]
        refused += [self.refused(taught, 50.0, 50.0, **limit) for _ in range(20)]
        assert sum(refused) < 40
        assert refused[wrong + 1 :] == [0] * 19

    @pytest.mark.parametrize("limit", LIMITS)
    def test_one_request_at_a_time_is_sent(self, limit):
        taught = taught_router()
        for _ in range(self.FIRST):
            with pytest.raises(NoVariantError):
                taught.route(allowed_variants=self.ONLY_GPU, **limit)
        held = taught.route(allowed_variants=self.ONLY_GPU, **limit)
        with pytest.raises(NoVariantError):
            taught.route(allowed_variants=self.ONLY_GPU, **limit)
        assert held.variant == "gpu"

    @pytest.mark.parametrize("limit", LIMITS)
    def test_a_variant_that_serves_other_requests_needs_no_trial(self, limit):
        taught = taught_router()
        for _ in range(3):
            for _ in range(self.FIRST - 1):
                assert taught.chosen(**limit) != "gpu"
            taught.chosen(allowed_variants=self.ONLY_GPU)

    @pytest.mark.parametrize("limit", LIMITS)
    def test_trials_are_sent_to_a_variant_that_is_best(self, limit):
        """The neural engine is within both limits, but takes 1 ms longer."""
        taught = taught_router()
        chosen = [taught.chosen(**limit) for _ in range(8 * self.FIRST)]
        trials = [self.FIRST, 3 * self.FIRST + 1, 7 * self.FIRST + 2]
        assert [number for number, name in enumerate(chosen) if name == "gpu"] == trials

    def test_a_use_that_was_never_measured_is_refused_always(self):
        suitability = Suitability(memory_mb=900.0, power_w=250.0)
        taught = TaughtRouter({"gpu": 9.0}, variants=[Variant("gpu", Device.GPU, suitability=suitability)])
        for limit in ({"max_memory_mb": 500.0}, {"max_power_w": 100.0}) * 300:
            with pytest.raises(NoVariantError):
                taught.route(**limit)

    def test_memory_above_the_limit_of_its_device_is_measured_again_while_the_device_is_idle(self):
        taught = taught_router()
        limits = {Device.GPU: DeviceLimits(max_memory_mb=1000.0)}
        configure(taught, ModelSettings(device_limits=limits))
        held = taught.route(allowed_variants=self.ONLY_GPU)
        configure(taught, ModelSettings(device_limits={Device.GPU: DeviceLimits(max_memory_mb=500.0)}))
        for _ in range(300):
            with pytest.raises(NoVariantError, match="900 MB more would not fit"):
                taught.route(allowed_variants=self.ONLY_GPU)
        taught.router.record_execution(held)
        assert self.refused(taught, 900.0, 250.0) == 0
        assert self.refused(taught, 900.0, 250.0) == 2 * self.FIRST


def test_a_decision_states_what_it_expects_and_the_next_best():
    decision = taught_router().route()
    assert decision.expected_memory_mb == pytest.approx(900.0, rel=0.01)
    assert decision.expected_power_w == pytest.approx(250.0, rel=0.01)
    assert decision.fallbacks == ("ane", "cpu")
    assert decision.reason == "best by 'latency', expected in 9 ms; 3 of 3 variants could serve it"


def test_a_request_may_name_the_policy():
    taught = taught_router()
    decision = taught.route(policy="static:cpu")
    assert (decision.policy, decision.variant) == ("static:cpu", "cpu")
    assert taught.route().policy == "latency"


@pytest.mark.parametrize("policy", ["latancy", "static:tpu", "static", ""])
def test_a_request_for_an_unknown_policy_is_refused(policy):
    with pytest.raises(InvalidRequestError, match=r"model 'resnet50', .*expected"):
        taught_router().route(policy=policy)


@pytest.mark.parametrize(
    ("goal", "policy"),
    [
        (OptimizationGoal.MINIMIZE_LATENCY, "latency"),
        (OptimizationGoal.MAXIMIZE_THROUGHPUT, "throughput"),
        (OptimizationGoal.MINIMIZE_POWER, "power"),
        (OptimizationGoal.BALANCED, "adaptive"),
    ],
)
def test_the_goal_of_a_request_chooses_its_policy(goal, policy):
    taught = taught_router(ModelSettings(policy="round_robin"))
    assert taught.route(optimization_goal=goal).policy == policy
    assert taught.route().policy == "round_robin"


def test_the_policy_that_a_request_names_comes_before_its_goal():
    decision = taught_router().route(policy="static:cpu", optimization_goal=OptimizationGoal.MINIMIZE_POWER)
    assert decision.policy == "static:cpu"


def test_a_weight_makes_a_device_preferred():
    assert taught_router(ModelSettings(device_weights={Device.NEURAL_ENGINE: 1.5})).chosen() == "ane"


def test_a_weight_makes_a_device_preferred_by_the_policy_for_power_too():
    """The engine takes 5 W · 10 ms, the CPU 60 W · 12 ms: 14.4 times as much."""
    for weight, device in ((14.0, "ane"), (15.0, "cpu")):
        settings = ModelSettings(policy="power", device_weights={Device.CPU: weight})
        assert taught_router(settings).chosen() == device


def test_a_preferred_device_is_used_unless_it_costs_more_than_twice_as_much():
    preferred = frozenset({Device.CPU})
    assert taught_router(ModelSettings(preferred_devices=preferred)).chosen() == "cpu"
    weighty_gpu = ModelSettings(preferred_devices=preferred, device_weights={Device.GPU: 3.0})
    assert taught_router(weighty_gpu).chosen() == "gpu"


def test_the_deadline_of_the_model_applies_to_requests_that_state_none():
    taught = taught_router()
    configure(taught, ModelSettings(max_latency_ms=9.5, refuse_late=True, policy="static:cpu"))
    assert taught.chosen() == "gpu"
    with pytest.raises(DeadlineError):
        taught.route(max_latency_ms=1.0)
    assert taught.chosen(max_latency_ms=100.0) == "cpu"


@pytest.mark.parametrize("refuse_late", [True, False])
def test_a_request_may_state_whether_it_is_refused_when_late(refuse_late):
    taught = taught_router(ModelSettings(refuse_late=not refuse_late))
    assert taught.chosen(max_latency_ms=1.0, refuse_late=False) == "gpu"
    with pytest.raises(DeadlineError):
        taught.route(max_latency_ms=1.0, refuse_late=True)


def test_new_settings_at_run_time_keep_what_was_learned():
    taught = taught_router()
    configure(taught, ModelSettings(policy="static:cpu", max_latency_ms=50.0))
    decision = taught.route()
    assert (decision.policy, decision.variant) == ("static:cpu", "cpu")
    assert decision.expected_latency_ms == pytest.approx(12.0, rel=0.01)


def test_without_measurements_a_prior_is_used():
    variants = (
        Variant("slow", Device.CPU, suitability=Suitability(fixed_ms=2.0, per_item_ms=8.0)),
        Variant("fast", Device.GPU, suitability=Suitability(fixed_ms=3.0, per_item_ms=0.5, power_w=70.0)),
    )
    router = ModelRouter(clock=lambda: 0.0)
    router.register_model("resnet50", variants=variants)
    decision = router.route_request("resnet50", RoutingContext(batch_size=8))
    assert decision.variant == "fast"
    assert decision.expected_latency_ms == pytest.approx(7.0)
    assert decision.expected_power_w == 70.0


def test_a_variant_on_a_device_that_cannot_run_the_model_is_rejected_with_the_reason():
    variants = (
        Variant("cpu", Device.CPU),
        Variant("ane", Device.NEURAL_ENGINE, suitability=Suitability("it has a Loop")),
        Variant("gpu", Device.GPU),
    )
    router = ModelRouter(clock=lambda: 0.0)
    characteristics = ModelCharacteristics("resnet50", parameter_count=25_000_000, supports_gpu=False)
    router.register_model("resnet50", variants=variants, characteristics=characteristics)
    decision = router.route_request("resnet50", RoutingContext())
    assert decision.variant == "cpu"
    assert {c.variant: c.reason_out for c in decision.candidates} == {
        "cpu": None,
        "ane": "it has a Loop",
        "gpu": "the model is stated not to run on gpu",
    }


def test_a_policy_gets_the_deadline_of_the_model():
    taught = taught_router(ModelSettings(policy="power"))
    assert taught.chosen() == "ane"
    configure(taught, ModelSettings(policy="power", max_latency_ms=10.2))
    assert taught.chosen() == "gpu", "10 ms are in time, but not with the margin that the policy wants"
