from pathlib import Path

import pytest

from router_backend.config.load import read_parameters
from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import PolicyChoice, RoutingRule, VariantEntry
from router_backend.core.policies.registry import POLICIES
from router_backend.core.records.variant import Device
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError

DEFAULT = RoutingConfig()
UNITS = {"readiness_interval_ms": " of milliseconds", "metrics_interval_ms": " of milliseconds"}
WHOLE_NUMBERS = {
    "worker_threads": 10_000,
    "max_in_flight": 1_000_000,
    "readiness_interval_ms": 86_400_000,
    "metrics_interval_ms": 86_400_000,
}
"""The largest value of each."""


def refusal(**parameters: str) -> str:
    """The message with which these parameters of the model 'resnet50' are refused."""
    with pytest.raises(ConfigurationError) as error:
        read_parameters("resnet50", parameters)
    return str(error.value)


class TestVariants:
    def test_are_read_in_their_order_with_and_without_a_device(self):
        settings = read_parameters("resnet50", {"variants": "resnet50_gpu, resnet50_mac=neural_engine"})
        assert settings.variants == (
            VariantEntry("resnet50_gpu"),
            VariantEntry("resnet50_mac", Device.NEURAL_ENGINE),
        )

    def test_are_the_one_parameter_that_must_be_there(self):
        message = refusal(policy="latency")
        assert message.startswith(
            "model 'resnet50', config.pbtxt: expected the key 'variants' (model names with"
        )
        assert "each as name or name=device (device: cpu, gpu, neural_engine, mps)" in message
        assert message.endswith("found only policy; add it")

    @pytest.mark.parametrize(("text", "index"), [("", 0), ("a,,b", 1), ("a,", 1), ("=gpu", 0)])
    def test_without_a_name_are_refused_with_their_place(self, text, index):
        assert refusal(variants=text) == (
            f"model 'resnet50', config.pbtxt: variants[{index}].name: expected the name of a model, found ''"
        )

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("a=tpu", "'tpu' (did you mean 'gpu'?)"),
            ("a=", "''"),
            ("a=GPU", "'GPU' (did you mean 'gpu'?)"),
        ],
    )
    def test_on_an_unknown_device_are_refused_with_the_known_ones(self, text, found):
        assert refusal(variants=text) == (
            "model 'resnet50', config.pbtxt: variants[0].device: expected one of cpu, gpu, neural_engine, "
            f"mps, found {found}"
        )


class TestDefaults:
    def test_hold_for_whatever_is_left_out(self):
        settings = read_parameters("resnet50", {"variants": "a"})
        assert RoutingConfig().settings_for("resnet50", settings) == ModelSettings()
        assert settings.worker_threads <= settings.max_in_flight
        assert settings.warmup_batch_sizes == (1, 1, 8, 8)


class TestValues:
    @pytest.mark.parametrize("key", WHOLE_NUMBERS)
    def test_whole_numbers_are_read_with_space_around_them(self, key):
        assert getattr(read_parameters("resnet50", {"variants": "a", key: " 7 "}), key) == 7

    @pytest.mark.parametrize("key", WHOLE_NUMBERS)
    def test_the_largest_whole_number_is_read_and_a_larger_one_is_refused(self, key):
        largest = WHOLE_NUMBERS[key]
        assert getattr(read_parameters("resnet50", {"variants": "a", key: str(largest)}), key) == largest
        for text, found in ((str(largest + 1), largest + 1), ("9" * 20, f"'{'9' * 20}'"), ("9" * 5000, "'9")):
            assert refusal(variants="a", **{key: text}).startswith(
                f"model 'resnet50', config.pbtxt: {key}: "
                f"expected a whole number{UNITS.get(key, '')} from 1 to {largest}, found {found}"
            )

    @pytest.mark.parametrize("key", WHOLE_NUMBERS)
    @pytest.mark.parametrize("text", ["0", "-1", "2.5", "many", ""])
    def test_what_is_no_whole_number_above_zero_is_refused(self, key, text):
        found = text if text in ("0", "-1") else f"'{text}'"
        assert refusal(variants="a", **{key: text}) == (
            f"model 'resnet50', config.pbtxt: {key}: "
            f"expected a whole number{UNITS.get(key, '')} from 1 to {WHOLE_NUMBERS[key]}, found {found}"
        )

    @pytest.mark.parametrize(("text", "sizes"), [("4", (4,)), ("1, 2,16", (1, 2, 16)), ("none", ())])
    def test_warmup_batch_sizes_are_a_list_or_none(self, text, sizes):
        settings = read_parameters("resnet50", {"variants": "a", "warmup_batch_sizes": text})
        assert settings.warmup_batch_sizes == sizes

    @pytest.mark.parametrize("text", ["", "1,", "0", "1;2", "None"])
    def test_other_warmup_batch_sizes_are_refused(self, text):
        assert refusal(variants="a", warmup_batch_sizes=text).startswith(
            "model 'resnet50', config.pbtxt: warmup_batch_sizes["
        )

    def test_the_trace_is_a_file_or_none(self):
        assert read_parameters("resnet50", {"variants": "a"}).trace_file is None
        settings = read_parameters("resnet50", {"variants": "a", "trace_file": "runs/monday.jsonl"})
        assert settings.trace_file == Path("runs/monday.jsonl")
        assert refusal(variants="a", trace_file=" ") == (
            "model 'resnet50', config.pbtxt: trace_file: expected the path of a file, found ''"
        )

    def test_the_deciding_part_gets_policy_and_coverage(self):
        settings = read_parameters("resnet50", {"variants": "a", "policy": "latency", "coverage": "0.95"})
        assert RoutingConfig().settings_for("resnet50", settings) == ModelSettings(
            policy="latency", coverage=0.95
        )

    def test_a_coverage_that_is_no_number_is_refused(self):
        assert refusal(variants="a", coverage="ninety") == (
            "model 'resnet50', config.pbtxt: coverage: expected a number between 0 and 1, found 'ninety'"
        )

    @pytest.mark.parametrize("text", ["0", "1", "-0.5", "90", "nan", "inf"])
    def test_a_coverage_that_is_no_share_is_refused_with_its_place(self, text):
        message = refusal(variants="a", coverage=text)
        assert message.startswith("model 'resnet50', config.pbtxt: coverage: expected a number")
        assert message.endswith(f"found '{text}'" if text.isalpha() else f"found {float(text)}")

    def test_an_unknown_policy_is_refused_with_its_place_and_the_known_ones(self):
        message = refusal(variants="a", policy="latancy")
        assert message.startswith("model 'resnet50', config.pbtxt: policy: expected one of the policies")
        assert message.endswith("found 'latancy' (did you mean 'latency'?)")
        for policy in POLICIES:
            assert policy in message


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": "latancy"},
        {"policy": "p2c", "goal": "power"},
        {"policy_parameters": "a=1"},
        {"policy": "adaptive", "policy_parameters": "latency_weight=-1"},
    ],
)
def test_a_policy_that_is_wrong_is_reported_beside_any_other_wrong_parameter(wrong: dict[str, str]):
    both = refusal(variants="a", max_latency_ms="-3", **wrong)
    assert refusal(variants="a", max_latency_ms="-3") in both
    assert refusal(variants="a", **wrong) in both


class TestUnknownKeys:
    def test_are_refused_with_the_nearest_and_all_the_known_ones(self):
        message = refusal(variants="a", worker_thread="4")
        assert message.startswith(
            "model 'resnet50', config.pbtxt: expected a known key, found 'worker_thread' "
            "(did you mean 'worker_threads'?); use one of variants, "
        )
        for key in ("variants", "policy", "coverage", *WHOLE_NUMBERS, "warmup_batch_sizes"):
            assert key in message.partition("use one of ")[2]

    def test_with_no_name_near_them_get_no_guess(self):
        message = refusal(variants="a", zzz="4")
        assert "expected a known key, found 'zzz'; use one of variants, " in message
        assert "did you mean" not in message

    def test_are_told_even_where_variants_are_missing(self):
        assert "(did you mean 'variants'?)" in refusal(variant="a")

    def test_of_tritons_python_backend_are_left_to_it(self):
        settings = read_parameters("resnet50", {"variants": "a", "EXECUTION_ENV_PATH": "env.tar.gz"})
        assert settings == read_parameters("resnet50", {"variants": "a"})


class TestRouting:
    def decision(self, routing: RoutingConfig = DEFAULT, **parameters: str) -> ModelSettings:
        return routing.settings_for("resnet50", read_parameters("resnet50", {"variants": "a", **parameters}))

    def test_each_setting_of_a_rule_is_a_parameter_too(self):
        decision = self.decision(
            policy="p2c",
            preferred_backends="gpu, mps",
            max_latency_ms="50",
            refuse_late="true",
            backend_weights="gpu=1.2,cpu=0.8",
        )
        assert decision == ModelSettings(
            policy="p2c",
            preferred_devices=frozenset({Device.GPU, Device.MPS}),
            max_latency_ms=50.0,
            refuse_late=True,
            device_weights={Device.GPU: 1.2, Device.CPU: 0.8},
        )

    def test_a_goal_names_its_policy(self):
        assert self.decision(goal="minimize_latency").policy == "latency"

    def test_what_the_model_says_comes_before_the_rule_for_it(self):
        ruled = {"policy": PolicyChoice("c3"), "max_latency_ms": 9.0}
        routing = RoutingConfig(
            rules=(RoutingRule(model_name_pattern="resnet*", **ruled),), device_weights={Device.CPU: 0.5}
        )
        assert self.decision(routing) == ModelSettings(
            policy="c3", max_latency_ms=9.0, device_weights={Device.CPU: 0.5}
        )
        assert self.decision(routing, policy="p2c", coverage="0.8", backend_weights="gpu=2") == ModelSettings(
            policy="p2c",
            max_latency_ms=9.0,
            coverage=0.8,
            device_weights={Device.CPU: 0.5, Device.GPU: 2.0},
        )

    def test_the_routing_configuration_is_a_file_or_none(self):
        assert read_parameters("resnet50", {"variants": "a"}).routing_config is None
        settings = read_parameters("resnet50", {"variants": "a", "routing_config": "../routing.json"})
        assert settings.routing_config == Path("../routing.json")

    @pytest.mark.parametrize(
        ("key", "text", "message"),
        [
            ("policy_parameters", "a", "{PAIRS}, found 'a'"),
            ("policy_parameters", "a=", "{PAIRS}, found 'a='"),
            ("policy_parameters", "a=1,a=2", "{PAIRS}, found 'a=1,a=2'"),
            ("goal", "fast", "goal: expected one of {GOALS}, found 'fast'"),
            ("preferred_backends", "zzz", "preferred_backends[0]: expected one of {DEVICES}, found 'zzz'"),
            ("preferred_backends", "", "preferred_backends[0]: expected one of {DEVICES}, found ''"),
            ("max_latency_ms", "-5", "max_latency_ms: expected {MS}, found -5.0; {NO_DEADLINE}"),
            ("max_latency_ms", "nan", "max_latency_ms: expected {MS}, found 'nan'; {NO_DEADLINE}"),
            ("max_latency_ms", "50ms", "max_latency_ms: expected {MS}, found '50ms'; {NO_DEADLINE}"),
            ("refuse_late", "yes", "refuse_late: expected true or false, found 'yes'"),
            ("routing_config", "", "routing_config: expected the path of a file, found ''"),
        ],
    )
    def test_what_cannot_be_read_is_refused_with_what_was_expected(self, key, text, message):
        expected = message.format(
            PAIRS="policy_parameters: expected name=value with commas between, each name once",
            GOALS="minimize_latency, maximize_throughput, minimize_power, balanced",
            DEVICES="cpu, gpu, neural_engine, mps",
            MS="a number of milliseconds above 0",
            NO_DEADLINE="leave it out for no deadline",
        )
        assert refusal(variants="a", **{key: text}) == f"model 'resnet50', config.pbtxt: {expected}"

    @pytest.mark.parametrize(
        ("key", "text", "found"),
        [
            ("goal", "minimise_power", "'minimise_power' (did you mean 'minimize_power'?)"),
            ("policy", "static_gpu", "'static_gpu' (did you mean 'static'?)"),
            ("preferred_backends", "cpu, gup", "'gup' (did you mean 'gpu'?)"),
            ("backend_weights", "GPU=2", "'GPU' (did you mean 'gpu'?)"),
            ("variants", "a=metal_mps", "'metal_mps' (did you mean 'mps'?)"),
        ],
    )
    def test_an_unknown_name_is_refused_with_the_nearest(self, key, text, found):
        assert refusal(**{"variants": "a", key: text}).endswith(f"found {found}")

    @pytest.mark.parametrize("text", ["gpu", "gpu=", "zzz=1", "gpu=0", "gpu=-1", "gpu=nan", "gpu=1,gpu=2"])
    def test_wrong_weights_are_refused(self, text):
        message = refusal(variants="a", backend_weights=text)
        assert message.startswith("model 'resnet50', config.pbtxt: backend_weights")
        for expected in ("device=weight with commas between", "one of cpu, gpu", "a number above 0"):
            if expected in message:
                break
        else:
            raise AssertionError(message)

    def test_a_policy_and_a_goal_are_refused(self):
        assert refusal(variants="a", policy="p2c", goal="minimize_latency") == (
            "model 'resnet50', config.pbtxt: goal: expected a policy or a goal, found both, 'p2c' and "
            "'minimize_latency'; remove one"
        )

    def test_parameters_without_a_policy_are_refused(self):
        assert refusal(variants="a", policy_parameters="a=1") == (
            "model 'resnet50', config.pbtxt: policy_parameters: expected the parameter 'policy' as well, "
            "found none; name the policy"
        )

    def test_parameters_that_the_policy_does_not_take_are_refused(self):
        message = refusal(variants="a", policy="p2c", policy_parameters="speed=1")
        assert message == (
            "model 'resnet50', config.pbtxt, policy 'p2c': policy_parameters: expected none, found 'speed'; "
            "remove them"
        )
