"""`ModelRouter`: models, variants, filters and policies."""

import pytest

from router_backend.core.choosing.filters import FILTERS, Filter
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.core.variants.state import VariantState
from router_backend.errors import ConfigurationError, InvalidRequestError, NoVariantError
from tests.unit.core.router.served import CPU, GPU, FirstOfAll, best, serve


class TestRegistration:
    def test_a_model_is_registered_once(self, router):
        with pytest.raises(ConfigurationError) as error:
            router.register_model("resnet50", variants=[GPU])
        assert (
            str(error.value)
            == "model 'resnet50': expected to register it once, found it is registered already"
        )

    def test_a_model_without_variants_is_refused(self, router):
        with pytest.raises(
            ConfigurationError, match="model 'bert': expected at least one variant, found none"
        ):
            router.register_model("bert", variants=[])

    def test_a_duplicate_variant_is_refused_with_the_list(self, router):
        with pytest.raises(ConfigurationError) as error:
            router.register_model("bert", variants=[GPU, CPU, GPU])
        assert str(error.value) == (
            "model 'bert': expected every variant once, found resnet50_gpu, resnet50_cpu, resnet50_gpu; "
            "name each variant once"
        )

    def test_models_do_not_share_what_they_learn(self, router, clock):
        router.register_model("bert", variants=[GPU, CPU])
        for _ in range(2):
            serve(router, clock, 5.0, allowed_variants=frozenset({GPU.name}))
        assert router.model("resnet50").state(GPU.name).profile.latency.known
        assert not router.model("bert").state(GPU.name).profile.latency.known

    def test_a_variant_of_two_models_is_learned_separately_by_each(self, router):
        router.register_model("bert", variants=[GPU])
        assert router.model("bert").state(GPU.name) is not router.model("resnet50").state(GPU.name)


class TestUnknownNames:
    def test_an_unknown_model_is_refused_with_the_known_ones(self, router):
        router.register_model("bert", variants=[GPU])
        with pytest.raises(InvalidRequestError) as error:
            router.route_request("resnet", RoutingContext())
        assert str(error.value) == "model 'resnet' is not registered: found resnet50, bert"

    def test_before_any_registration_the_error_says_so(self):
        with pytest.raises(InvalidRequestError, match="model 'resnet50' is not registered: found none yet"):
            ModelRouter().route_request("resnet50", RoutingContext())

    def test_an_unknown_variant_is_refused_with_the_known_ones(self, router):
        with pytest.raises(InvalidRequestError) as error:
            router.model("resnet50").state("resnet50_mps")
        assert str(error.value) == (
            "model 'resnet50' has no variant 'resnet50_mps': expected one of resnet50_gpu, resnet50_cpu"
        )


class TestReadiness:
    def test_a_variant_that_is_not_ready_gets_no_requests_until_it_is(self, router):
        router.model("resnet50").set_ready(GPU.name, "still loading")
        routed = [router.route_request("resnet50", RoutingContext()) for _ in range(5)]
        assert {decision.variant for decision in routed} == {CPU.name}
        router.model("resnet50").set_ready(GPU.name, None)
        assert router.route_request("resnet50", RoutingContext()).variant == GPU.name

    def test_when_none_is_ready_the_error_has_the_reasons(self, router):
        router.model("resnet50").set_ready(GPU.name, "no CUDA device")
        router.model("resnet50").set_ready(CPU.name, "still loading")
        with pytest.raises(NoVariantError, match="resnet50_gpu: no CUDA device; resnet50_cpu: still loading"):
            router.route_request("resnet50", RoutingContext())

    def test_an_unknown_variant_cannot_become_ready(self, router):
        with pytest.raises(InvalidRequestError, match="has no variant 'resnet50_mps'"):
            router.model("resnet50").set_ready("resnet50_mps", None)


class TestFilters:
    def test_one_of_the_user_is_applied_in_addition_to_the_others(self, clock):
        def after_hours(state: VariantState, request: Request) -> str | None:
            return "the CPU sleeps at night" if state.variant is CPU and request.now_s > 2000.0 else None

        router = ModelRouter(clock=clock, filters=(*FILTERS, Filter(after_hours)))
        router.register_model("resnet50", variants=[GPU, CPU])
        router.model("resnet50").set_ready(GPU.name, "still loading")
        assert router.route_request("resnet50", RoutingContext()).variant == CPU.name
        clock.now_s = 3000.0
        with pytest.raises(
            NoVariantError, match="resnet50_gpu: still loading; resnet50_cpu: the CPU sleeps at night"
        ):
            router.route_request("resnet50", RoutingContext())

    def test_one_that_is_a_constraint_is_only_applied_to_requests_that_state_one(self, clock):
        never = Filter(lambda *_: "never", constraint=True)
        router = ModelRouter(clock=clock, filters=(*FILTERS, never))
        router.register_model("resnet50", variants=[CPU])
        assert router.route_request("resnet50", RoutingContext()).variant == CPU.name
        with pytest.raises(NoVariantError, match="resnet50_cpu: never"):
            router.route_request("resnet50", RoutingContext(max_memory_mb=1e9))


class TestPolicy:
    def test_it_can_be_changed_while_serving_and_what_was_learned_stays(self, router, clock):
        for variant, latency_ms in ((GPU.name, 40.0), (CPU.name, 5.0)):
            for _ in range(5):
                serve(router, clock, latency_ms, allowed_variants=frozenset({variant}))
        router.set_routing_policy(FirstOfAll)
        decision = serve(router, clock, 40.0)
        assert (decision.policy, decision.variant) == ("first", GPU.name)
        router.set_routing_policy("latency")
        assert router.route_request("resnet50", RoutingContext()).policy == "latency"
        assert best(router) == CPU.name

    def test_it_applies_to_models_that_are_registered_later(self, router):
        router.set_routing_policy(FirstOfAll)
        router.register_model("bert", variants=[GPU, CPU])
        assert router.route_request("bert", RoutingContext()).policy == "first"

    def test_each_model_gets_one_of_its_own(self, router):
        router.register_model("bert", variants=[GPU])
        made = []

        def make() -> FirstOfAll:
            made.append(FirstOfAll())
            return made[-1]

        router.set_routing_policy(make)
        for model_name in ("resnet50", "bert", "bert"):
            router.route_request(model_name, RoutingContext())
        assert sorted(policy.choices for policy in made if policy.choices) == [1, 2]

    def test_it_may_be_a_class_of_which_each_model_gets_an_object(self, router):
        router.register_model("bert", variants=[GPU])
        router.set_routing_policy(PowerEfficientPolicy)
        policies = [router.route_request(name, RoutingContext()).policy for name in ("resnet50", "bert")]
        assert policies == ["power", "power"]

    def test_an_object_is_refused_with_its_class_since_each_model_needs_its_own(self, router):
        with pytest.raises(ConfigurationError, match="pass the class LatencyOptimizedPolicy"):
            router.set_routing_policy(LatencyOptimizedPolicy())

    @pytest.mark.parametrize("policy", [3, None, lambda: "latency"])
    def test_anything_else_is_refused(self, router, policy):
        with pytest.raises(
            ConfigurationError, match="expected a policy name, a Policy subclass or a factory"
        ):
            router.set_routing_policy(policy)
        assert router.route_request("resnet50", RoutingContext()).policy == "latency"

    def test_an_unknown_name_is_refused_and_changes_nothing(self, router):
        with pytest.raises(
            ConfigurationError, match=r"expected one of the policies .*latency.*, found 'latancy'"
        ):
            router.set_routing_policy("latancy")
        assert router.route_request("resnet50", RoutingContext()).policy == "latency"
        router.register_model("bert", variants=[GPU])
        assert router.route_request("bert", RoutingContext()).policy == "latency"
