import itertools
import json
import os
import random
from pathlib import Path

import pytest

from router_backend import Device, ModelRouter, RoutingContext, Variant
from router_backend.baselines.static import StaticPolicy
from router_backend.config.load import RouterSetup, read_routing_file
from router_backend.config.repository import Signature
from router_backend.config.schema import RouterParameters
from router_backend.core.records.outcome import Fault
from router_backend.runtime.config_watcher import ConfigWatcher, watch_config

VARIANTS = (Variant("gpu", Device.GPU), Variant("cpu", Device.CPU))


def routing(variant: str) -> str:
    """Return rules by which the model `m` is served by one variant."""
    return json.dumps(
        {"routing_rules": [{"model_name_pattern": "m", "policy": {"name": f"static:{variant}"}}]}
    )


class Site:
    """A router of the model `m` with its own file, and a watcher that checks when the test calls it."""

    def __init__(self, folder: Path) -> None:
        (folder / "m").mkdir()
        (folder / "m" / "config.pbtxt").touch()
        self.path = folder / "routing.json"
        self.path.write_text(routing("gpu"))
        file = read_routing_file(self.path)
        parameters = RouterParameters(variants=())
        self.model = RouterSetup("m", folder, parameters, VARIANTS, Signature((), (), 0), file)
        clock = itertools.count(0.0, 2.0).__next__  # slow enough that a failing variant is tried again
        self.router = ModelRouter(self.model.settings, clock=clock, rng=random.Random(0))
        self.router.register_model("m", variants=VARIANTS)
        self.informed: list[str] = []
        self.warned: list[str] = []
        self.watcher = ConfigWatcher(self.model, file, self.router, self.informed.append, self.warned.append)

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.watcher.look()

    @property
    def served_by(self) -> str:
        decision = self.router.route_request("m", RoutingContext())
        self.router.record_execution(decision)
        return decision.variant

    def fail_the_treatment(self) -> None:
        """Serve 200 requests, of which those on the CPU fail."""
        for number in range(200):
            decision = self.router.route_request("m", RoutingContext(unit=str(number)))
            if decision.variant == "cpu":
                self.router.record_execution(decision, error=Fault.ERROR)
            else:
                self.router.record_execution(decision, latency_ms=10.0)

    @property
    def reloads(self) -> tuple[int, int]:
        """The number of changes that were applied, and of changes that were refused."""
        metrics = self.router.get_metrics().get_model_metrics("m")
        return metrics.counts.configs_accepted, metrics.counts.configs_refused


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_file_that_stays_as_it_is_changes_nothing(site: Site):
    site.look(5)
    assert (site.served_by, site.reloads, site.informed, site.warned) == ("gpu", (0, 0), [], [])


def test_a_change_is_applied_once_two_checks_find_the_same(site: Site):
    site.path.write_text(routing("cpu"))
    site.look(1)
    assert (site.served_by, site.reloads) == ("gpu", (0, 0))
    site.look(1)
    assert (site.served_by, site.reloads) == ("cpu", (1, 0))
    assert site.informed == [f"model 'm' has applied the change of {site.path}"]


def test_a_file_that_is_being_written_is_not_read(site: Site):
    text = routing("cpu")
    for end in (10, 20, 30):
        site.path.write_text(text[:end])
        site.look(1)
    site.path.write_text(text)
    site.look()
    assert (site.served_by, site.reloads, site.warned) == ("cpu", (1, 0), [])


def test_the_same_text_in_another_file_is_no_change(site: Site, tmp_path: Path):
    (tmp_path / "other.json").write_text(routing("gpu"))
    (tmp_path / "other.json").rename(site.path)
    site.look()
    assert site.reloads == (0, 0)


def test_a_change_that_keeps_size_and_time_is_applied(site: Site):
    times = site.path.stat()
    site.path.write_text(routing("cpu"))
    os.utime(site.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert site.path.stat().st_size == times.st_size
    site.look()
    assert site.served_by == "cpu"


def test_a_link_that_points_to_another_file_is_a_change(tmp_path: Path):
    site = Site(tmp_path)
    for name, variant in (("one", "gpu"), ("two", "cpu")):
        (tmp_path / f"{name}.json").write_text(routing(variant))
    site.path.unlink()
    site.path.symlink_to("one.json")
    site.look()
    (tmp_path / "next").symlink_to("two.json")
    (tmp_path / "next").rename(site.path)
    site.look()
    assert (site.served_by, site.reloads) == ("cpu", (1, 0))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "{path}, line 1, column 2: expected JSON"),
        ('{"routing_rule": []}', "expected a known key, found 'routing_rule'"),
        (
            routing("tpu"),
            "{path}, model 'm', policy 'static': routing_rules[0].policy: expected 'static:' and "
            "one of gpu, cpu, found 'static:tpu'",
        ),
        (
            '{"default_policy": {"name": "static:tpu"}}',
            "{path}, model 'm', policy 'static': default_policy: expected 'static:' and one of gpu, cpu",
        ),
        (
            '{"experiments": [{"experiment_id": "a", "control": {"name": "c3"}, "fraction": 0.5, '
            '"treatment": {"name": "static:tpu"}}]}',
            "{path}, model 'm', policy 'static': experiments[0].treatment: expected 'static:' and one of",
        ),
    ],
)
def test_an_invalid_change_is_reported_once_and_changes_nothing(site: Site, text: str, reason: str):
    site.path.write_text(text)
    site.look(5)
    assert (site.served_by, site.reloads) == ("gpu", (0, 1))
    (warning,) = site.warned
    assert warning.startswith("model 'm' keeps the settings that it had: ")
    assert reason.format(path=site.path) in warning


def test_each_invalid_change_is_reported(site: Site):
    for text in ("{", "[", "{"):
        site.path.write_text(text)
        site.look()
    assert (site.reloads, len(site.warned)) == ((0, 3), 3)


def test_after_an_invalid_change_the_valid_one_is_applied(site: Site):
    site.path.write_text("{")
    site.look()
    site.path.write_text(routing("cpu"))
    site.look()
    assert (site.served_by, site.reloads) == ("cpu", (1, 1))


def test_a_missing_file_is_reported_once_and_changes_nothing(site: Site):
    site.path.unlink()
    site.look(5)
    assert (site.served_by, site.reloads) == ("gpu", (0, 1))
    assert site.warned == [
        "model 'm' keeps the settings that it had: "
        f"{site.path}: expected a routing configuration, found no such file"
    ]


def test_a_file_that_is_back_is_applied_even_if_its_text_is_the_same(site: Site):
    site.path.unlink()
    site.look()
    site.path.write_text(routing("gpu"))
    site.look()
    assert (site.served_by, site.reloads) == ("gpu", (1, 1))


def with_experiment(**more: object) -> str:
    """Return a file with an experiment that sends every request to the CPU."""
    arms = {"control": {"name": "static:gpu"}, "treatment": {"name": "static:cpu"}}
    return json.dumps({"experiments": [{"experiment_id": "v2", **arms, "fraction": 1, **more}]})


def test_an_unexpected_error_of_a_policy_is_reported_and_the_next_change_is_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    def broken(argument: str, parameters: object) -> StaticPolicy:
        raise ValueError("no such speed")

    with monkeypatch.context() as patched:
        patched.setattr(StaticPolicy, "create", broken)
        site.path.write_text(routing("cpu"))
        site.look()
    assert (site.served_by, site.reloads) == ("gpu", (0, 1))
    assert site.warned[0].endswith(f"{site.path}: defect in a policy: ValueError('no such speed')")
    site.path.write_text(routing("cpu") + " ")
    site.look()
    assert (site.served_by, site.reloads) == ("cpu", (1, 1))


class TestExperiments:
    def test_are_started_changed_and_stopped_by_editing_the_file(self, site: Site):
        site.path.write_text(with_experiment())
        site.look()
        assert site.served_by == "cpu"
        site.path.write_text(with_experiment(fraction=0))
        site.look()
        assert site.served_by == "gpu"
        assert [each.fraction for each in site.router.experiments] == [0.0]
        site.path.write_text("{}")
        site.look()
        assert not site.router.experiments

    def test_of_an_invalid_change_are_not_started(self, site: Site):
        rules = [{"model_name_pattern": "m", "policy": {"name": "static:tpu"}}]
        site.path.write_text(json.dumps({**json.loads(with_experiment()), "routing_rules": rules}))
        site.look()
        assert (site.served_by, site.reloads, list(site.router.experiments)) == ("gpu", (0, 1), [])

    def test_that_the_model_rejects_leave_its_rule_as_it_was(self, site: Site):
        wrong = json.loads(with_experiment(treatment={"name": "static:tpu"}))
        site.path.write_text(json.dumps({**json.loads(routing("cpu")), **wrong}))
        site.look()
        assert (site.served_by, site.reloads, list(site.router.experiments)) == ("gpu", (0, 1), [])

    def test_that_guardrails_stop_are_reported_once_each_time(self, site: Site):
        file, stop = with_experiment(fraction=0.5), "model 'm': guardrails have stopped experiment "
        for stops in (1, 2):
            site.path.write_text(file)
            site.look()
            assert len(site.warned) == stops - 1
            site.fail_the_treatment()
            site.look(3)
            assert len(site.warned) == stops
            assert site.warned[-1].startswith(f"{stop}'v2': too many failures: ")
            site.path.write_text("{}")
            site.look()


def test_settings_of_the_model_itself_override_a_change(tmp_path: Path):
    site = Site(tmp_path)
    parameters = RouterParameters(variants=(), policy="static:gpu")
    model = RouterSetup("m", tmp_path, parameters, VARIANTS, Signature((), (), 0), site.model.routing_file)
    watcher = watch_config(model, site.router, site.informed.append, site.warned.append)
    assert watcher is not None
    site.path.write_text(routing("cpu"))
    watcher.look()
    watcher.look()
    assert (site.served_by, site.reloads) == ("gpu", (1, 0))


def test_a_pattern_that_matches_no_model_is_reported_at_the_start_and_after_a_change(
    site: Site, tmp_path: Path
):
    site.path.write_text('{"routing_rules": [{"model_name_pattern": "mm"}, {"model_name_pattern": "?"}]}')
    file = read_routing_file(site.path)
    watcher = ConfigWatcher(site.model, file, site.router, site.informed.append, site.warned.append)
    watcher.start()
    watcher.close()
    assert site.warned == [f"{site.path}: the pattern 'mm' matches no model of the repository {tmp_path}"]
    site.path.write_text('{"routing_rules": [{"model_name_pattern": "n*"}]}')
    site.look()
    assert site.warned[1:] == [f"{site.path}: the pattern 'n*' matches no model of the repository {tmp_path}"]


def test_a_model_without_a_file_has_no_watcher(site: Site):
    model = RouterSetup("m", Path(), RouterParameters(variants=()), VARIANTS, Signature((), (), 0), None)
    assert watch_config(model, site.router, site.informed.append, site.warned.append) is None
