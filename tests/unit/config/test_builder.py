import pytest

from router_backend import Device, DeviceLimits, ModelRouter, OptimizationGoal, RoutingContext, Variant
from router_backend.config.builder import ModelRouterConfigBuilder
from router_backend.config.load import parse_routing, to_json
from router_backend.config.resolve import RoutingConfig
from router_backend.core.experiments.experiment import Experiment
from router_backend.errors import ConfigurationError

FILE = b"""{
  "default_policy": {"name": "c3"},
  "routing_rules": [
    {"model_name_pattern": "resnet*", "policy": {"name": "p2c"}, "preferred_backends": ["gpu"],
     "max_latency_ms": 50, "refuse_late": true},
    {"model_name_pattern": "bert_*", "goal": "minimize_latency"},
    {"model_name_pattern": "*_mobile"}
  ],
  "backend_weights": {"neural_engine": 1.5},
  "backend_limits": {"gpu": {"max_in_flight": 16}},
  "profiling": false,
  "experiments": [
    {"experiment_id": "v2", "control": {"name": "p2c"}, "treatment": {"name": "c3"}, "fraction": 0.1}
  ]
}"""


def full() -> ModelRouterConfigBuilder:
    """Builds what FILE says."""
    return (
        ModelRouterConfigBuilder()
        .set_default_policy("c3")
        .add_routing_rule("resnet*", "p2c", preferred_backends=["gpu"], max_latency_ms=50, refuse_late=True)
        .add_routing_rule("bert_*", goal=OptimizationGoal.MINIMIZE_LATENCY)
        .add_routing_rule("*_mobile")
        .set_backend_weight("neural_engine", 1.5)
        .set_backend_limits("gpu", max_in_flight=16)
        .enable_profiling(False)
        .add_experiment(Experiment("v2", "p2c", "c3", 0.1))
    )


def test_it_builds_what_the_file_says():
    assert full().build() == parse_routing("routing.json", FILE)


def test_what_it_builds_can_be_written_and_read():
    config = full().build()
    assert parse_routing("routing.json", to_json(config).encode()) == config


def test_without_a_step_it_builds_the_default():
    assert ModelRouterConfigBuilder().build() == RoutingConfig()


def test_what_was_built_stays_as_it_is_when_the_builder_goes_on():
    builder = ModelRouterConfigBuilder()
    first = builder.build()
    builder.set_backend_weight("gpu", 2.0)
    assert first.device_weights == {}
    assert builder.build().device_weights == {Device.GPU: 2.0}


def test_the_last_word_on_a_device_counts():
    builder = ModelRouterConfigBuilder().set_backend_weight("gpu", 2.0).set_backend_weight("gpu", 3.0)
    builder.set_backend_limits("gpu", max_in_flight=1).set_backend_limits("gpu", max_memory_mb=8.0)
    config = builder.build()
    assert config.device_weights == {Device.GPU: 3.0}
    assert config.device_limits == {Device.GPU: DeviceLimits(max_memory_mb=8.0)}


def test_a_router_follows_what_was_built():
    config = ModelRouterConfigBuilder().add_routing_rule("resnet*", "static:gpu").build()
    router = ModelRouter()
    config.apply_to_router(router)
    router.register_model("resnet50", variants=[Variant("cpu", Device.CPU), Variant("gpu", Device.GPU)])
    assert router.route_request("resnet50", RoutingContext()).variant == "gpu"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda b: b.set_default_policy("latncy"), r"found 'latncy' \(did you mean 'latency'\?\)"),
        (lambda b: b.set_default_policy("c3", {"speed": "1"}), "parameters: expected none, found 'speed'"),
        (lambda b: b.add_routing_rule("*", "latncy"), "policy: expected one of the policies"),
        (
            lambda b: b.add_routing_rule("*", "p2c", goal=OptimizationGoal.MINIMIZE_LATENCY),
            "goal: expected a policy or a goal, found both",
        ),
        (
            lambda b: b.add_routing_rule("*", preferred_backends=["gup"]),
            r"preferred_backends\[0\]: expected one of cpu, gpu, .*, found 'gup' \(did you mean 'gpu'\?\)",
        ),
        (
            lambda b: b.add_routing_rule("*", max_latency_ms=-1.0),
            "max_latency_ms: expected a number of milliseconds above 0, found -1.0",
        ),
        (
            lambda b: b.set_backend_weight("gpu", float("nan")),
            "backend_weights.gpu: expected a number above 0, found NaN",
        ),
        (lambda b: b.set_backend_weight("metal", 1.0), "backend_weights.metal: expected one of"),
        (
            lambda b: b.set_backend_limits("gpu", max_in_flight=0),
            "max_in_flight: expected a whole number of at least 1, found 0",
        ),
        (
            lambda b: b.set_backend_limits("gpu", max_in_flight=1.5),
            "max_in_flight: expected a whole number of at least 1, found 1.5",
        ),
        (
            lambda b: b.set_backend_limits("gpu", max_memory_mb=True),
            "max_memory_mb: expected a number of megabytes above 0, found true",
        ),
        (lambda b: b.enable_profiling("false"), "expected true or false, found 'false'"),
        (
            lambda b: b.set_default_policy("adaptive", {"latency_weight": 0.3}),
            'parameters.latency_weight: expected text, such as "0.3", found 0.3',
        ),
    ],
)
def test_a_wrong_step_is_refused_at_once_and_changes_nothing(step, message):
    builder = ModelRouterConfigBuilder()
    with pytest.raises(ConfigurationError, match=message):
        step(builder)
    assert builder.build() == RoutingConfig()
