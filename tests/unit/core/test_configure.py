from collections.abc import Mapping

import pytest

from router_backend import Device, Experiment, ModelRouter, ModelSettings, RoutingContext, Variant
from router_backend.errors import ConfigurationError

GPU = Variant("gpu", Device.GPU)
CPU = Variant("cpu", Device.CPU)
NAMES = ("first", "second")


@pytest.fixture
def router() -> ModelRouter:
    """Return two models with the same two variants and default settings."""
    router = ModelRouter(clock=lambda: 0.0)
    for name in NAMES:
        router.register_model(name, variants=[GPU, CPU])
    return router


def settings_of(policies: Mapping[str, str]):
    return lambda name: ModelSettings(policy=policies.get(name, "latency"))


def chosen(router: ModelRouter, model: str) -> str:
    decision = router.route_request(model, RoutingContext())
    router.record_execution(decision)
    return decision.variant


def test_every_model_uses_the_settings_of_its_name(router):
    router.configure(settings_of({"first": "static:gpu", "second": "static:cpu"}))
    assert [chosen(router, name) for name in NAMES] == ["gpu", "cpu"]


def test_a_model_that_is_registered_later_gets_the_settings_of_its_name(router):
    router.configure(settings_of({"third": "static:cpu"}))
    router.register_model("third", variants=[GPU, CPU])
    assert chosen(router, "third") == "cpu"


def test_a_model_with_settings_of_its_own_is_registered_with_these(router):
    router.configure(settings_of({"third": "static:cpu"}))
    router.register_model("third", variants=[GPU, CPU], settings=ModelSettings(policy="static:gpu"))
    assert chosen(router, "third") == "gpu"


def test_of_settings_and_a_policy_the_one_set_last_applies(router):
    router.set_routing_policy("static:gpu")
    router.configure(settings_of({"first": "static:cpu", "third": "static:cpu"}))
    assert chosen(router, "first") == "cpu"
    router.set_routing_policy("static:gpu")
    router.register_model("third", variants=[GPU, CPU])
    assert [chosen(router, name) for name in ("first", "third")] == ["gpu", "gpu"]


def test_a_models_default_deadline_is_that_of_its_settings_now(router):
    def deadlines_ms() -> list[float | None]:
        return [router.route_request(name, RoutingContext(spent_ms=8.0)).deadline_ms for name in NAMES]

    assert deadlines_ms() == [None, None]
    router.configure(lambda name: ModelSettings(max_latency_ms=50.0 if name == "first" else None))
    assert deadlines_ms() == [42.0, None]


def test_what_was_learned_is_kept(router):
    decision = router.route_request("first", RoutingContext())
    router.record_execution(decision, latency_ms=7.0)
    router.configure(settings_of({}))
    assert router.model("first").state(decision.variant).answers == 1


def test_each_model_counts_one_applied_change(router):
    router.configure(settings_of({}))
    models = router.get_metrics().models
    assert [models[name].counts.configs_accepted for name in NAMES] == [1, 1]


def test_if_one_model_rejects_the_settings_nothing_changes(router):
    router.configure(settings_of({"first": "static:gpu", "third": "static:gpu"}))
    with pytest.raises(ConfigurationError, match="found 'static:tpu'"):
        router.configure(settings_of({"first": "static:cpu", "second": "static:tpu", "third": "static:cpu"}))
    router.register_model("third", variants=[GPU, CPU])
    assert [chosen(router, name) for name in ("first", "third")] == ["gpu", "gpu"]
    assert router.get_metrics().get_model_metrics("first").counts.configs_accepted == 1


class TestExperiments:
    EXPERIMENT = Experiment("v2", "static:gpu", "static:cpu", 1.0)

    def test_stay_as_they_are_if_none_are_given(self, router):
        router.experiments.set([self.EXPERIMENT])
        router.configure(settings_of({}))
        assert list(router.experiments) == [self.EXPERIMENT]

    def test_that_are_given_replace_those_that_run(self, router):
        router.configure(settings_of({"first": "static:gpu"}), [self.EXPERIMENT])
        assert chosen(router, "first") == "cpu"
        router.configure(settings_of({"first": "static:gpu"}), [])
        assert chosen(router, "first") == "gpu"

    @pytest.mark.parametrize(
        "experiments",
        [[EXPERIMENT, EXPERIMENT], [Experiment("v2", "latency", "static:tpu", 0.5)]],
        ids=["twice", "for a variant that is not there"],
    )
    def test_that_cannot_run_leave_the_settings_as_they_were(self, router, experiments):
        router.configure(settings_of({"first": "static:gpu"}))
        with pytest.raises(ConfigurationError):
            router.configure(settings_of({"first": "static:cpu"}), experiments)
        assert chosen(router, "first") == "gpu"
        assert not router.experiments


EVERY = ModelSettings()


def by_name(name: str, low: float = 0.0, high: float = 1.0, fraction: float = 0.5) -> Experiment:
    return Experiment(name, "latency", "p2c", fraction, unit_range=(low, high))


def ids(router: ModelRouter) -> set[str]:
    return {experiment.experiment_id for experiment in router.experiments}


class TestExperimentsSetByHand:
    """Those of a configuration replace those of the one before; those started by hand go on."""

    def test_an_experiment_that_was_started_by_hand_survives_a_configuration(self, router):
        router.experiments.start(by_name("by hand", 0.0, 0.5))
        router.route_request("first", RoutingContext(unit="user-1"))
        router.configure(lambda _: EVERY, [by_name("file", 0.5, 1.0)])
        assert ids(router) == {"by hand", "file"}
        router.configure(lambda _: EVERY, [])
        assert ids(router) == {"by hand"}

    def test_those_of_the_configuration_before_end(self, router):
        router.experiments.configure([by_name("old", 0.0, 0.5), by_name("kept", 0.5, 1.0)])
        router.configure(lambda _: EVERY, [by_name("kept", 0.5, 1.0), by_name("new", 0.0, 0.5)])
        assert ids(router) == {"kept", "new"}

    def test_one_that_is_set_by_hand_no_longer_belongs_to_the_configuration(self, router):
        router.configure(lambda _: EVERY, [by_name("v2")])
        router.experiments.start(by_name("v2", fraction=0.6))
        router.configure(lambda _: EVERY, [])
        assert ids(router) == {"v2"}

    def test_one_that_a_configuration_names_belongs_to_it(self, router):
        router.experiments.start(by_name("v2", fraction=0.6))
        router.configure(lambda _: EVERY, [by_name("v2")])
        assert [experiment.fraction for experiment in router.experiments] == [0.5]
        router.configure(lambda _: EVERY, [])
        assert ids(router) == set()

    def test_all_that_are_set_together_are_set_by_hand(self, router):
        router.configure(lambda _: EVERY, [by_name("file", 0.0, 0.5)])
        router.experiments.set([by_name("file", 0.0, 0.5), by_name("by hand", 0.5, 1.0)])
        router.configure(lambda _: EVERY, [])
        assert ids(router) == {"file", "by hand"}

    def test_one_that_competes_with_one_started_by_hand_is_refused_and_nothing_changes(self, router):
        router.experiments.start(by_name("by hand"))
        with pytest.raises(ConfigurationError, match="found 'by hand' on 0 to 1 and 'file' on 0 to 1"):
            router.configure(settings_of({"first": "static:cpu"}), [by_name("file")])
        assert ids(router) == {"by hand"}
        assert router.route_request("first", RoutingContext()).policy in {"latency", "p2c"}, "not static:cpu"

    def test_one_that_was_stopped_by_hand_starts_again_with_the_next_configuration(self, router):
        router.configure(lambda _: EVERY, [by_name("v2")])
        router.experiments.stop("v2")
        assert ids(router) == set()
        router.configure(lambda _: EVERY, [by_name("v2")])
        assert ids(router) == {"v2"}
