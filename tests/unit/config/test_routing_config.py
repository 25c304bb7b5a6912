import pytest
from msgspec import UNSET

from router_backend import (
    Device,
    DeviceLimits,
    ModelRouter,
    ModelSettings,
    OptimizationGoal,
    RoutingContext,
    Variant,
)
from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import PolicyChoice, RouterParameters, RoutingRule
from router_backend.errors import ConfigurationError

CPU, GPU = Device.CPU, Device.GPU


def own_settings(**settings) -> RouterParameters:
    return RouterParameters(variants=(), **settings)


def rule(pattern: str, **settings) -> RoutingRule:
    return RoutingRule(model_name_pattern=pattern, **settings)


class TestRules:
    @pytest.mark.parametrize(
        ("pattern", "name", "matches"),
        [
            ("resnet*", "resnet50", True),
            ("resnet*", "resnet", True),
            ("resnet*", "my_resnet", False),
            ("*_mobile", "vgg_mobile", True),
            ("vgg??", "vgg19", True),
            ("vgg??", "vgg", False),
            ("[rv]*", "vgg", True),
            ("[!rv]*", "vgg", False),
            ("bert", "bert_large", False),
            ("BERT*", "bert", False),
        ],
    )
    def test_are_for_the_models_whose_whole_names_match(self, pattern, name, matches):
        config = RoutingConfig(rules=(RoutingRule(model_name_pattern=pattern),))
        assert (config.rule_for(name) is not None) is matches

    def test_of_several_that_match_the_first_counts_alone(self):
        config = RoutingConfig(
            rules=(
                rule("resnet50", max_latency_ms=9.0),
                rule("resnet*", goal=OptimizationGoal.MINIMIZE_LATENCY),
            )
        )
        assert config.rule_for("resnet50") is config.rules[0]
        assert config.rule_for("resnet18") is config.rules[1]
        assert config.rule_for("bert") is None

    def test_without_settings_keep_later_ones_away(self):
        config = RoutingConfig(
            rules=(RoutingRule(model_name_pattern="resnet50"), rule("*", max_latency_ms=9.0))
        )
        assert config.settings_for("resnet50") == ModelSettings()
        assert config.settings_for("bert").max_latency_ms == 9.0

    def test_that_match_none_of_the_models_are_found(self):
        config = RoutingConfig(
            rules=(RoutingRule(model_name_pattern="resnet*"), RoutingRule(model_name_pattern="bert?"))
        )
        assert config.unused_patterns(["resnet50", "bert"]) == ["bert?"]
        assert config.unused_patterns(["resnet50", "bert1"]) == []

    def test_with_both_a_policy_and_a_goal_are_refused(self):
        with pytest.raises(
            ConfigurationError, match="goal: expected a policy or a goal, found both, 'p2c' and"
        ):
            rule("*", policy=PolicyChoice("p2c"), goal=OptimizationGoal.BALANCED)


class TestPrecedence:
    CONFIG = RoutingConfig(
        default_policy=PolicyChoice("c3"),
        rules=(
            rule("full", policy=PolicyChoice("p2c"), preferred_devices=frozenset({GPU}), max_latency_ms=50.0),
            rule("part", max_latency_ms=70.0),
            rule("goal", goal=OptimizationGoal.MINIMIZE_LATENCY),
        ),
        device_weights={GPU: 1.2, CPU: 0.8},
        device_limits={GPU: DeviceLimits(max_in_flight=4)},
    )

    def test_the_default_holds_where_no_rule_matches(self):
        assert self.CONFIG.settings_for("other") == ModelSettings(
            policy="c3",
            device_weights={GPU: 1.2, CPU: 0.8},
            device_limits={GPU: DeviceLimits(max_in_flight=4)},
        )

    def test_a_rule_comes_before_the_default(self):
        config = self.CONFIG.settings_for("full")
        assert (config.policy, config.preferred_devices, config.max_latency_ms) == ("p2c", {GPU}, 50.0)

    def test_what_a_rule_leaves_out_is_the_default(self):
        config = self.CONFIG.settings_for("part")
        assert (config.policy, config.preferred_devices, config.max_latency_ms) == ("c3", frozenset(), 70.0)

    def test_a_goal_names_its_policy(self):
        assert self.CONFIG.settings_for("goal").policy == "latency"

    def test_the_models_own_settings_come_before_the_rule_one_by_one(self):
        own = own_settings(max_latency_ms=5.0, device_weights={GPU: 3.0})
        config = self.CONFIG.settings_for("full", own)
        assert (config.policy, config.preferred_devices, config.max_latency_ms) == ("p2c", {GPU}, 5.0)
        assert config.device_weights == {GPU: 3.0, CPU: 0.8}

    @pytest.mark.parametrize(
        ("own", "ruled", "refuses"),
        [(UNSET, UNSET, False), (UNSET, True, True), (False, True, False), (True, False, True)],
    )
    def test_whether_late_requests_are_refused_is_said_by_the_model_then_by_the_rule(
        self, own, ruled, refuses
    ):
        config = RoutingConfig(rules=(rule("a", refuse_late=ruled),))
        assert config.settings_for("a", own_settings(refuse_late=own)).refuse_late is refuses

    def test_a_goal_of_the_models_own_comes_before_a_policy_of_the_rule(self):
        own = own_settings(goal=OptimizationGoal.MINIMIZE_LATENCY, preferred_devices=frozenset({CPU}))
        config = self.CONFIG.settings_for("full", own)
        assert (config.policy, config.preferred_devices) == ("latency", {CPU})

    def test_a_policy_does_not_take_the_parameters_of_another_place(self):
        config = RoutingConfig(
            default_policy=PolicyChoice("peak_ewma"), rules=(rule("a", policy=PolicyChoice("c3")),)
        )
        assert config.settings_for("a").policy_parameters == {}


class TestRefusals:
    @pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_weight_that_is_not_above_zero(self, weight):
        with pytest.raises(ConfigurationError, match=r"device_weights\.gpu: expected a number above 0"):
            RoutingConfig(device_weights={GPU: weight})

    @pytest.mark.parametrize("deadline_ms", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_deadline_that_is_not_above_zero(self, deadline_ms):
        with pytest.raises(ConfigurationError, match="max_latency_ms: expected a number above 0"):
            RoutingConfig(rules=(rule("a", max_latency_ms=deadline_ms),))

    def test_an_unknown_policy(self):
        with pytest.raises(ConfigurationError, match=r"found 'latancy' \(did you mean 'latency'\?\)"):
            PolicyChoice("latancy")

    def test_a_parameter_that_the_policy_does_not_take(self):
        with pytest.raises(
            ConfigurationError, match="policy 'p2c': parameters: expected none, found 'speed'"
        ):
            PolicyChoice("p2c", {"speed": "1"})


def test_a_router_follows_it_for_the_models_it_has_and_for_those_to_come():
    config = RoutingConfig(rules=(rule("early", max_latency_ms=7.0), rule("late", max_latency_ms=9.0)))
    router = ModelRouter()
    router.register_model("early", variants=[Variant("a", CPU)])
    config.apply_to_router(router)
    router.register_model("late", variants=[Variant("a", CPU)])
    deadlines = [router.route_request(name, RoutingContext()).deadline_ms for name in ("early", "late")]
    assert deadlines == [7.0, 9.0]
