import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from router_backend.core.settings import ModelSettings
from router_tools.__main__ import app
from router_tools.check_config import NAMES
from router_tools.errors import ToolError
from tests.unit.config.routing_documents import EXPERIMENT, FULL

TENSORS = """
max_batch_size: 8
input [{ name: 'image' data_type: TYPE_FP32 dims: [3] }]
output [{ name: 'scores' data_type: TYPE_FP32 dims: [2] }]
"""


def run(*arguments: str) -> str:
    """What the command prints; an error of its own is raised."""
    result = CliRunner().invoke(app, ["check-config", *arguments], env={"COLUMNS": "200"})
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def refusal(*arguments: str) -> str:
    with pytest.raises(ToolError) as error:
        run(*arguments)
    return str(error.value)


def add_model(repository: Path, name: str, text: str) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(text)


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules" / "routing.json"
    path.parent.mkdir()
    path.write_text(json.dumps(FULL))
    return path


@pytest.fixture
def repository(tmp_path: Path, file: Path) -> Path:
    """Two routers, one of them in the plain form, that follow one file, and their variant."""
    folder = tmp_path / "models"
    add_model(folder, "a_cpu", TENSORS + parameter("device", "cpu"))
    rules = parameter("variants", "a_cpu") + parameter("routing_config", "../../rules/routing.json")
    add_model(folder, "resnet50", 'backend: "router_backend"\n' + rules)
    add_model(folder, "vgg", 'backend: "python"\n' + rules + parameter("policy", "p2c"))
    return folder


class TestFile:
    def test_that_is_right_is_shown_with_what_each_rule_comes_to(self, file):
        lines = run(str(file)).splitlines()
        assert lines[0] == f"{file}: valid"
        first = {line.split()[0]: line.split() for line in lines if line.strip() and "─" not in line}
        assert first["resnet*"][:3] == ["resnet*", "p2c", "gpu"]
        assert first["resnet*"][-2:] == ["50", "ms"]
        assert sum(line.rstrip().endswith("late ones refused") for line in lines) == 1
        assert first["bert_?"][1] == "latency"
        assert first["*"][1] == first["any"][3] == "c3"

    def test_a_setting_without_a_column_is_shown_where_it_is_not_the_default(self, file):
        assert "profiling=false" in run(str(file))
        file.write_text(json.dumps({"profiling": True}))
        assert "profiling" not in run(str(file))

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


class TestRepository:
    def test_that_is_right_is_shown_with_what_each_router_comes_to(self, repository):
        settings = json.loads(run(str(repository), "--json"))["settings"]
        deadlines = {name: (each["policy"], each["max_latency_ms"]) for name, each in settings.items()}
        assert deadlines == {"resnet50": ("p2c", 50.0), "vgg": ("p2c", None)}

    def test_what_is_for_none_of_its_routers_is_told(self, repository, file):
        warning, _ = json.loads(run(str(repository), "--json"))["warnings"]
        assert warning == f"{file}: the pattern 'bert_?' matches no router that follows it (resnet50, vgg)"
        assert f"warning: {warning}" in run(str(repository))

    def test_whose_file_is_wrong_is_refused_with_the_place(self, repository, file):
        file.write_text("[]")
        assert refusal(str(repository)).startswith(f"{file}: expected an object")

    def test_all_that_is_wrong_in_any_router_is_reported_once(self, repository, file):
        file.write_text("[]")
        variants = parameter("variants", "nobody, ./path") + parameter("worker_threads", "0")
        add_model(repository, "bad", 'backend: "router_backend"\n' + variants)
        add_model(
            repository, "worse", 'backend: "router_backend"\n' + parameter("variants", "nobody, ./path")
        )
        lines = refusal(str(repository)).splitlines()
        assert [line.partition(": expected")[0] for line in lines] == [
            "model 'bad', config.pbtxt: worker_threads",
            f"{repository}/resnet50/../../rules/routing.json".replace("models/resnet50/../../", ""),
            "model 'worse', config.pbtxt: variants[0]",
            "model 'worse', config.pbtxt: variants[1]",
        ]

    def test_whose_router_has_no_version_folder_is_refused_with_what_else_is_wrong(self, repository):
        add_model(repository, "bad", 'backend: "router_backend"\n' + parameter("variants", "nobody"))
        (repository / "bad" / "1").rmdir()
        (repository / "bad" / "labels").mkdir()
        missing, other = refusal(str(repository)).splitlines()
        assert missing == (
            "model 'bad': expected a folder '1' beside config.pbtxt, found none; add it, with a file in it, "
            "since git drops empty ones"
        )
        assert other.startswith("model 'bad', config.pbtxt: variants[0]")

    def test_whose_variant_is_decoupled_is_valid_with_a_warning(self, repository):
        decoupled = "model_transaction_policy { decoupled: true }"
        add_model(repository, "a_stream", TENSORS + parameter("device", "gpu") + decoupled)
        add_model(
            repository, "mixed", 'backend: "router_backend"\n' + parameter("variants", "a_cpu, a_stream")
        )
        (warning,) = (
            each for each in json.loads(run(str(repository), "--json"))["warnings"] if "mixed" in each
        )
        assert warning.startswith(
            "model 'mixed': the variant 'a_stream' is left out: model 'a_stream', config.pbtxt: "
            "model_transaction_policy.decoupled: expected false"
        )

    def test_whose_variants_are_slow_at_first_is_valid_with_a_hint(self, repository):
        warm = "model_warmup { name: 'zeros' batch_size: 1 }"
        for name, more in (("a_gpu", ""), ("a_mps", ""), ("a_warm", warm)):
            device = name.removeprefix("a_").replace("warm", "gpu")
            add_model(repository, name, TENSORS + parameter("device", device) + more)
        variants = parameter("variants", "a_cpu, a_gpu, a_mps, a_warm")
        add_model(repository, "mixed", 'backend: "router_backend"\n' + variants)
        (hint,) = json.loads(run(str(repository), "--json"))["hints"]
        assert hint.startswith("model 'mixed': the first request may be slow at a_gpu, a_mps; a model_warmup")
        assert f"hint: {hint}" in run(str(repository))

    def test_whose_router_is_wrong_is_refused_with_its_name(self, repository):
        add_model(repository, "bad", 'backend: "router_backend"\n' + parameter("variants", "nobody"))
        assert "model 'bad', config.pbtxt: variants[0]" in refusal(str(repository))

    @pytest.mark.parametrize(
        ("path", "found"),
        [("..", "a folder"), ("r" * 300, "none that can be read (File name too long)")],
        ids=["folder", "too long"],
    )
    def test_whose_router_follows_no_regular_file_is_refused(self, repository, path, found):
        rules = parameter("variants", "a_cpu") + parameter("routing_config", path)
        (repository / "vgg" / "config.pbtxt").write_text('backend: "router_backend"\n' + rules)
        assert f": expected a routing configuration, found {found}" in refusal(str(repository))

    def test_whose_router_names_a_variant_that_is_too_long_is_refused(self, repository):
        rules = parameter("variants", "a" * 300)
        (repository / "vgg" / "config.pbtxt").write_text('backend: "router_backend"\n' + rules)
        assert "model 'vgg', config.pbtxt: variants[0]: expected a model" in refusal(str(repository))

    def test_without_a_router_is_refused(self, tmp_path):
        assert refusal(str(tmp_path)) == (
            f"{tmp_path}: expected a model repository with a router, found none; name another"
        )

    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            (
                {"routing_rules": [{"model_name_pattern": "res*", "policy": {"name": "static:a_gpu"}}]},
                "model 'resnet50', policy 'static': routing_rules[0].policy: expected 'static:' "
                "and one of a_cpu, found 'static:a_gpu'",
            ),
            (
                {"experiments": [{**EXPERIMENT, "treatment": {"name": "static:zzz"}}]},
                "model 'resnet50', policy 'static': experiments[0].treatment: expected 'static:' "
                "and one of a_cpu, found 'static:zzz'",
            ),
            (
                {
                    "experiments": [
                        {**EXPERIMENT, "experiment_id": pattern, "model_name_pattern": pattern}
                        for pattern in ("res*", "resnet*")
                    ]
                },
                "model 'resnet50': experiments: expected experiments whose unit_ranges do not overlap",
            ),
        ],
    )
    def test_whose_file_does_not_go_with_a_router_is_refused(self, repository, file, rules, message):
        file.write_text(json.dumps(rules))
        assert refusal(str(repository)).startswith(f"{file}, {message}")

    def test_whose_routers_policy_is_for_no_variant_of_its_own_is_refused_with_the_parameter(
        self, repository
    ):
        text = parameter("variants", "a_cpu") + parameter("policy", "static:zzz")
        add_model(repository, "bad", 'backend: "router_backend"\n' + text)
        assert refusal(str(repository)) == (
            "model 'bad', config.pbtxt, policy 'static': policy: expected 'static:' and one of a_cpu, "
            "found 'static:zzz'"
        )


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
