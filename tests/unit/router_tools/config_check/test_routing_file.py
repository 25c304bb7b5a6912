import json
from dataclasses import fields
from typing import Any

import pytest
from typer.testing import CliRunner

from router_backend.core.settings import ModelSettings
from router_tools.__main__ import app
from router_tools.config_check.checked import NAMES
from tests.unit.config.routing_documents import EXPERIMENT
from tests.unit.router_tools.config_check.checking import refusal, run


class TestFile:
    def test_that_is_right_is_shown_with_what_each_rule_comes_to_and_from_where(self, file):
        first, *rows = run(str(file)).splitlines()
        assert first == f"{file}: valid"
        shown = {tuple(" ".join(row.split()).split(" ", 1)) for row in rows if row.strip()}
        assert {
            ("resnet*", "policy p2c rule 'resnet*'"),
            ("bert_?", "policy latency rule 'bert_?'"),
            ("*", "policy c3 routing file"),
            ("any", "other model policy c3 routing file"),
            ("max_latency_ms", "50.0 rule 'resnet*'"),
            ("refuse_late", "true rule 'resnet*'"),
            ("refuse_late", "false rule 'bert_?'"),
            ("backend_limits", "gpu max_in_flight=16, max_memory_mb=8000.5 routing file"),
            ("resnet*", "experiment by model: p2c → c3, 10% by model, of units 0.5 to 1 routing file"),
        } <= shown

    def test_a_setting_is_shown_where_it_is_not_the_default(self, file):
        assert "profiling" in run(str(file))
        file.write_text(json.dumps({"profiling": True}))
        assert "profiling" not in run(str(file))

    def test_the_settings_of_a_policy_are_shown_with_it(self, file):
        policy = {"name": "adaptive", "parameters": {"latency_weight": "0.5"}}
        file.write_text(json.dumps({"default_policy": policy}))
        assert "adaptive (latency_weight=0.5)" in run(str(file))

    def test_that_is_right_is_told_as_json(self, file):
        told = json.loads(run(str(file), "--json"))
        assert (told["path"], told["warnings"]) == (str(file), [])
        assert list(told["settings"]) == ["resnet*", "bert_?", "*", "any other model"]
        settings = told["settings"]["resnet*"]
        assert list(settings) == [NAMES.get(each.name, each.name) for each in fields(ModelSettings)]
        expected = {
            "policy": "p2c",
            "policy_parameters": {},
            "preferred_backends": ["gpu", "neural_engine"],
            "backend_weights": {"neural_engine": 1.5, "gpu": 1.2, "cpu": 0.8, "mps": 1.0},
            "backend_limits": {
                "gpu": {"max_in_flight": 16, "max_memory_mb": 8000.5},
                "cpu": {"max_in_flight": None, "max_memory_mb": None},
            },
            "max_latency_ms": 50.0,
            "coverage": 0.9,
            "refuse_late": True,
            "profiling": False,
        }
        assert {key: settings[key] for key in expected} == expected

    def test_that_is_wrong_is_refused_with_the_place(self, file):
        file.write_text('{"backend_weights": {"gpu": -1}}')
        message = refusal(str(file))
        assert message.startswith(f"{file}: backend_weights.gpu: expected a number above 0")

    def test_that_is_wrong_is_reported_as_json_with_all_errors_and_their_fields(self, file):
        file.write_text('{"backend_weights": {"gpu": -1}, "routing_rules": [{"goal": "balancd"}]}')
        result = CliRunner().invoke(app, ["check-config", str(file), "--json"])
        assert result.exit_code == 1
        reported = json.loads(result.stdout)
        assert reported["path"] == str(file)
        assert [error["path"] for error in reported["errors"]] == [
            "backend_weights.gpu",
            "routing_rules[0]",
            "routing_rules[0].goal",
        ]
        assert reported["errors"][2] == {
            "where": str(file),
            "path": "routing_rules[0].goal",
            "expected": "one of minimize_latency, maximize_throughput, minimize_power, balanced",
            "found": "'balancd'",
            "hint": "did you mean 'balanced'?",
            "fix": "",
        }
        assert len(refusal(str(file)).splitlines()) == len(reported["errors"])

    def test_whose_experiment_could_not_be_reported_is_refused(self, file):
        file.write_text(json.dumps({"experiments": [{**EXPERIMENT, "experiment_id": "\ud800"}]}))
        assert f"{file}: experiments[0].experiment_id: expected whole characters" in refusal(str(file))

    def test_that_is_not_there_is_refused(self, tmp_path):
        path = tmp_path / "nowhere.json"
        assert refusal(str(path)) == f"{path}: expected a routing configuration, found no such file"

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            ("/dev/null", "something that is not a regular file"),
            ("r" * 5000, "none that can be read (File name too long)"),
        ],
        ids=["device", "too long"],
    )
    def test_that_is_no_regular_file_is_refused(self, path, found):
        assert refusal(path) == f"{path}: expected a routing configuration, found {found}"

    def test_of_two_rules_for_one_pattern_the_first_is_shown(self, file):
        rules = [{"model_name_pattern": "a", "max_latency_ms": ms} for ms in (1, 2)]
        file.write_text(json.dumps({"routing_rules": rules}))
        assert json.loads(run(str(file), "--json"))["settings"]["a"]["max_latency_ms"] == 1.0


class TestExperimentsThatMayOverlap:
    def of(self, **patterns: Any) -> str:
        experiments = [
            {**EXPERIMENT, "experiment_id": name, "fraction": 0.7, "model_name_pattern": pattern, **more}
            for name, (pattern, more) in patterns.items()
        ]
        return json.dumps({"experiments": experiments})

    def test_are_told_with_a_name_that_both_match_as_long_as_there_is_no_such_model(self, file, repository):
        file.write_text(self.of(one=("bert*", {}), two=("*50", {"unit_range": [0, 0.5]})))
        warning = (
            f"{file}, at experiments: 'one' for 'bert*' and 'two' for '*50' would compete for the requests "
            "of a model that both match, such as 'bert50', which is rejected; give each a unit_range of its "
            "own"
        )
        assert json.loads(run(str(file), "--json"))["warnings"] == [warning]
        assert warning in json.loads(run(str(repository), "--json"))["warnings"]
        assert f"warning: {warning}" in run(str(file))

    def test_are_refused_where_there_is_one(self, file, repository):
        file.write_text(self.of(one=("res*", {}), two=("*50", {})))
        assert refusal(str(repository)).startswith(f"{file}, model 'resnet50': experiments: expected exp")

    @pytest.mark.parametrize(
        "patterns",
        [
            {"one": ("res*", {}), "two": ("bert*", {})},
            {"one": ("res*", {"unit_range": [0, 0.5]}), "two": ("*50", {"unit_range": [0.5, 1]})},
        ],
    )
    def test_are_not_told_where_no_name_or_no_request_is_common_to_both(self, file, patterns):
        file.write_text(self.of(**patterns))
        assert json.loads(run(str(file), "--json"))["warnings"] == []
