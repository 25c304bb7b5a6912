from pathlib import Path

import pytest

from router_backend.config.parameters import VariantEntry, read_parameters
from router_backend.config.routing_config import PolicyChoice, RoutingConfig, RoutingRule, RoutingSettings
from router_backend.core.policies.registry import POLICIES
from router_backend.core.records.variant import Device
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError

DEFAULT = RoutingConfig()
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
            VariantEntry("resnet50_gpu", None),
            VariantEntry("resnet50_mac", Device.NEURAL_ENGINE),
        )

    def test_are_the_one_parameter_that_must_be_there(self):
        message = refusal(policy="latency")
        assert message.startswith("model 'resnet50', config.pbtxt: the parameter 'variants' is missing")
        assert "expected model names with commas between" in message
        assert "cpu, gpu, neural_engine, mps" in message

    @pytest.mark.parametrize("text", ["", "a,,b", "a,", "=gpu", "a=tpu", "a=", "a=GPU"])
    def test_that_cannot_be_read_are_refused_with_what_was_expected_and_found(self, text):
        message = refusal(variants=text)
        assert message.startswith(
            "model 'resnet50', config.pbtxt, parameter 'variants': expected model names"
        )
        assert "each as name or name=device (device: cpu, gpu, neural_engine, mps)" in message
        assert f", found '{text}'" in message


class TestDefaults:
    def test_hold_for_whatever_is_left_out(self):
        settings = read_parameters("resnet50", {"variants": "a"})
        assert settings.decision("resnet50", RoutingConfig()) == ModelSettings()
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
        for text in (str(largest + 1), "9" * 20, "9" * 5000):
            assert refusal(variants="a", **{key: text}) == (
                f"model 'resnet50', config.pbtxt, parameter '{key}': "
                f"expected a whole number from 1 to {largest}, found '{text}'"
            )

    @pytest.mark.parametrize("key", WHOLE_NUMBERS)
    @pytest.mark.parametrize("text", ["0", "-1", "2.5", "many", ""])
    def test_what_is_no_whole_number_above_zero_is_refused(self, key, text):
        assert refusal(variants="a", **{key: text}) == (
            f"model 'resnet50', config.pbtxt, parameter '{key}': "
            f"expected a whole number from 1 to {WHOLE_NUMBERS[key]}, found '{text}'"
        )

    @pytest.mark.parametrize(("text", "sizes"), [("4", (4,)), ("1, 2,16", (1, 2, 16)), ("none", ())])
    def test_warmup_batch_sizes_are_a_list_or_none(self, text, sizes):
        settings = read_parameters("resnet50", {"variants": "a", "warmup_batch_sizes": text})
        assert settings.warmup_batch_sizes == sizes

    @pytest.mark.parametrize("text", ["", "1,", "0", "1;2", "None"])
    def test_other_warmup_batch_sizes_are_refused(self, text):
        assert refusal(variants="a", warmup_batch_sizes=text) == (
            "model 'resnet50', config.pbtxt, parameter 'warmup_batch_sizes': "
            f"expected whole numbers with commas between, or none, found '{text}'"
        )

    def test_the_trace_is_a_file_or_none(self):
        assert read_parameters("resnet50", {"variants": "a"}).trace_file is None
        settings = read_parameters("resnet50", {"variants": "a", "trace_file": "runs/monday.jsonl"})
        assert settings.trace_file == Path("runs/monday.jsonl")
        assert refusal(variants="a", trace_file=" ") == (
            "model 'resnet50', config.pbtxt, parameter 'trace_file': expected the path of a file, found ' '"
        )

    def test_the_deciding_part_gets_policy_and_coverage(self):
        settings = read_parameters("resnet50", {"variants": "a", "policy": " latency", "coverage": "0.95"})
        assert settings.decision("resnet50", RoutingConfig()) == ModelSettings(
            policy="latency", coverage=0.95
        )

    def test_a_coverage_that_is_no_number_is_refused(self):
        assert refusal(variants="a", coverage="ninety") == (
            "model 'resnet50', config.pbtxt, parameter 'coverage': "
            "expected a number between 0 and 1, found 'ninety'"
        )

    @pytest.mark.parametrize("text", ["0", "1", "-0.5", "90", "nan", "inf"])
    def test_a_coverage_that_is_no_share_is_refused_with_its_place(self, text):
        message = refusal(variants="a", coverage=text)
        assert message.startswith("model 'resnet50', config.pbtxt, parameter coverage: expected a number")
        assert message.endswith(f"found {float(text)}")

    def test_an_unknown_policy_is_refused_with_its_place_and_the_known_ones(self):
        message = refusal(variants="a", policy="latancy")
        assert message.startswith("model 'resnet50', config.pbtxt, parameter policy: expected one of")
        assert message.endswith("found 'latancy' (did you mean 'latency'?)")
        for policy in POLICIES:
            assert policy in message


class TestUnknownKeys:
    def test_are_refused_with_the_nearest_and_all_the_known_ones(self):
        message = refusal(variants="a", worker_thread="4")
        assert message.startswith(
            "model 'resnet50', config.pbtxt: unknown parameter 'worker_thread' "
            "(did you mean 'worker_threads'?): expected one of"
        )
        for key in ("variants", "policy", "coverage", *WHOLE_NUMBERS, "warmup_batch_sizes"):
            assert key in message.partition("expected one of")[2]

    def test_with_no_name_near_them_get_no_guess(self):
        message = refusal(variants="a", zzz="4")
        assert "unknown parameter 'zzz': expected one of" in message
        assert "did you mean" not in message

    def test_are_told_even_where_variants_are_missing(self):
        assert "(did you mean 'variants'?)" in refusal(variant="a")

    def test_of_tritons_python_backend_are_left_to_it(self):
        settings = read_parameters("resnet50", {"variants": "a", "EXECUTION_ENV_PATH": "env.tar.gz"})
        assert settings == read_parameters("resnet50", {"variants": "a"})


class TestRouting:
    def decision(self, routing: RoutingConfig = DEFAULT, **parameters: str) -> ModelSettings:
        return read_parameters("resnet50", {"variants": "a", **parameters}).decision("resnet50", routing)

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
        ruled = RoutingSettings(policy=PolicyChoice("c3"), max_latency_ms=9.0)
        routing = RoutingConfig(rules=(RoutingRule("resnet*", ruled),), device_weights={Device.CPU: 0.5})
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
        ("key", "text", "expected"),
        [
            ("policy_parameters", "a", "name=value with commas between, each name once"),
            ("policy_parameters", "a=", "name=value with commas between, each name once"),
            ("policy_parameters", "a=1,a=2", "name=value with commas between, each name once"),
            (
                "goal",
                "fast",
                "one of minimize_latency, maximize_throughput, minimize_power, balanced",
            ),
            ("preferred_backends", "zzz", "devices with commas between (cpu, gpu, neural_engine, mps)"),
            ("preferred_backends", "", "devices with commas between (cpu, gpu, neural_engine, mps)"),
            ("max_latency_ms", "-5", "a number above 0"),
            ("max_latency_ms", "nan", "a number above 0"),
            ("refuse_late", "yes", "true or false"),
            ("routing_config", "", "the path of a file"),
        ],
    )
    def test_what_cannot_be_read_is_refused_with_what_was_expected(self, key, text, expected):
        assert refusal(variants="a", **{key: text}) == (
            f"model 'resnet50', config.pbtxt, parameter '{key}': expected {expected}, found '{text}'"
        )

    @pytest.mark.parametrize(
        ("key", "text", "near"),
        [
            ("goal", "minimise_power", "minimize_power"),
            ("policy", "static_gpu", "static"),
            ("preferred_backends", "cpu, gup", "gpu"),
            ("backend_weights", "GPU=2", "gpu"),
            ("variants", "a=metal_mps", "mps"),
        ],
    )
    def test_a_name_that_is_none_is_refused_with_the_nearest(self, key, text, near):
        assert refusal(**{"variants": "a", key: text}).endswith(f"found '{text}' (did you mean '{near}'?)")

    @pytest.mark.parametrize("text", ["gpu", "gpu=", "zzz=1", "gpu=0", "gpu=-1", "gpu=nan", "gpu=1,gpu=2"])
    def test_wrong_weights_are_refused(self, text):
        assert refusal(variants="a", backend_weights=text) == (
            "model 'resnet50', config.pbtxt, parameter 'backend_weights': expected device=weight with commas "
            f"between (device: cpu, gpu, neural_engine, mps; weight: a number above 0), found '{text}'"
        )

    def test_a_policy_and_a_goal_are_refused(self):
        assert refusal(variants="a", policy="p2c", goal="minimize_latency") == (
            "model 'resnet50', config.pbtxt, parameter goal: expected a policy or a goal, found both, 'p2c' "
            "and 'minimize_latency': a goal says which policy it is, remove one"
        )

    def test_parameters_without_a_policy_are_refused(self):
        assert refusal(variants="a", policy_parameters="a=1") == (
            "model 'resnet50', config.pbtxt, parameter policy_parameters: expected the parameter 'policy' "
            "beside it, found none: name the policy"
        )

    def test_parameters_that_the_policy_does_not_take_are_refused(self):
        message = refusal(variants="a", policy="p2c", policy_parameters="speed=1")
        assert message.endswith("parameter policy 'p2c': expected no parameters, found 'speed': remove them")
