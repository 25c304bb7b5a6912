"""The examples of the system's specification on configuration load unchanged, or translated word for word."""

from router_backend import Device, ModelRouter, ModelSettings, RoutingContext, Variant
from router_backend.config.builder import ModelRouterConfigBuilder
from router_backend.config.load import parse_routing

JSON_CONFIGURATION = b"""
{
  "default_policy": {
    "name": "adaptive",
    "parameters": {
      "complexity_weight": "0.3",
      "latency_weight": "0.4"
    }
  },
  "routing_rules": [
    {
      "model_name_pattern": "resnet*",
      "policy": {"name": "throughput"},
      "preferred_backends": ["gpu", "neural_engine"],
      "max_latency_ms": 50
    }
  ],
  "backend_weights": {
    "neural_engine": 1.5,
    "gpu": 1.2,
    "cpu": 0.8
  }
}
"""
WEIGHTS = {Device.NEURAL_ENGINE: 1.5, Device.GPU: 1.2, Device.CPU: 0.8}


class TestJsonConfiguration:
    config = parse_routing("routing.json", JSON_CONFIGURATION)

    def test_its_rule_holds_for_the_models_that_match(self):
        assert self.config.settings_for("resnet50") == ModelSettings(
            policy="throughput",
            preferred_devices=frozenset({Device.GPU, Device.NEURAL_ENGINE}),
            max_latency_ms=50.0,
            device_weights=WEIGHTS,
        )

    def test_its_default_policy_with_its_parameters_holds_for_all_others(self):
        assert self.config.settings_for("bert_large") == ModelSettings(
            policy="adaptive",
            policy_parameters={"complexity_weight": "0.3", "latency_weight": "0.4"},
            device_weights=WEIGHTS,
        )


def test_the_configuration_builder_makes_a_router_choose_by_its_rules():
    config = (
        ModelRouterConfigBuilder()
        .set_default_policy("adaptive")
        .add_routing_rule("resnet*", "throughput")
        .add_routing_rule("bert_*", "latency")
        .add_routing_rule("*_mobile", "power")
        .set_backend_weight("neural_engine", 1.5)
        .enable_profiling(True)
        .build()
    )
    router = ModelRouter()
    config.apply_to_router(router)
    chosen_by = {}
    for model in ("resnet50", "bert_large", "vgg_mobile", "whisper"):
        router.register_model(model, variants=[Variant("cpu", Device.CPU), Variant("gpu", Device.GPU)])
        decision = router.route_request(model, RoutingContext())
        chosen_by[model] = decision.policy
        router.record_execution(decision, latency_ms=4.0)
        again = RoutingContext(allowed_variants=frozenset({decision.variant}))
        router.record_execution(router.route_request(model, again), latency_ms=4.0)
    assert chosen_by == {
        "resnet50": "throughput",
        "bert_large": "latency",
        "vgg_mobile": "power",
        "whisper": "adaptive",
    }
    assert router.model("whisper").state(decision.variant).profile.latency.known
    assert {name: config.settings_for("m").weight(Device(name)) for name in ("neural_engine", "gpu")} == {
        "neural_engine": 1.5,
        "gpu": 1.0,
    }
