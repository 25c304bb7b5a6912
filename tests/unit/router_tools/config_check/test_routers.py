import json
import shutil
from pathlib import Path

import pytest

from tests.unit.config.routing_documents import EXPERIMENT, FULL
from tests.unit.router_tools.config_check.checking import (
    TENSORS,
    add_model,
    check,
    parameter,
    refusal,
    run,
    warnings_of,
)


class TestWhatEachRouterDoes:
    def test_is_shown_with_its_variants_its_experiments_and_what_decides(self, repository, file):
        file.write_text(json.dumps({**FULL, "experiments": [EXPERIMENT]}))
        told = json.loads(run(str(repository), "--json"))
        assert told["variants"]["vgg"] == {"a_cpu": {"device": "cpu", "concurrency": 1, "max_batch_size": 8}}
        assert (told["sources"]["vgg"]["policy"], told["sources"]["resnet50"]["policy"]) == (
            "config.pbtxt",
            "rule 'resnet*'",
        )
        assert told["sources"]["vgg"]["backend_weights"] == "routing file"
        assert told["sources"]["vgg"]["coverage"] == "default"
        ((experiment,), _) = told["experiments"].values()
        assert (experiment["experiment_id"], experiment["control"]) == ("new", "p2c")
        shown = " ".join(run(str(repository)).split())
        assert "vgg variant a_cpu (cpu) policy p2c config.pbtxt" in shown
        assert "experiment new: p2c → c3, 10% by request routing file" in shown

    def test_is_shown_beside_what_is_wrong_elsewhere(self, repository):
        add_model(repository, "bad", 'backend: "router_backend"\n' + parameter("variants", "nobody"))
        result = check(str(repository))
        assert result.stdout.splitlines()[0] == f"{repository}: 1 error"
        assert "policy" in result.stdout
        assert "warning: " in result.stdout
        told = json.loads(check(str(repository), "--json").stdout)
        assert list(told["settings"]) == ["resnet50", "vgg"]
        assert [error["path"] for error in told["errors"]] == ["variants[0]"]


class TestAVariantWhoseConfigIsBroken:
    @pytest.fixture
    def broken(self, repository: Path) -> Path:
        add_model(repository, "a_gpu", TENSORS + "oops {")
        for name in ("first", "second"):
            variants = parameter("variants", "a_cpu, a_gpu=gpu")
            add_model(repository, name, 'backend: "router_backend"\n' + variants)
        return repository

    def test_is_one_error_that_names_its_routers(self, broken):
        (line,) = refusal(str(broken)).splitlines()
        assert line.startswith(f"{broken}/a_gpu/config.pbtxt: expected a model configuration, found an error")
        assert line.endswith("; correct it; the routers 'first', 'second' cannot use it until then")

    def test_hides_nothing_else(self, broken):
        add_model(broken, "bad", 'backend: "router_backend"\n' + parameter("variants", "nobody, a_gpu"))
        result = check(str(broken))
        assert len(result.stderr.splitlines()) == 2
        assert "matches no router that follows it" in result.stdout
        assert list(json.loads(check(str(broken), "--json").stdout)["settings"]) == [
            "first",
            "resnet50",
            "second",
            "vgg",
        ]

    def test_is_one_error_if_the_router_has_no_other(self, broken):
        add_model(broken, "lonely", 'backend: "router_backend"\n' + parameter("variants", "a_gpu"))
        (line,) = refusal(str(broken)).splitlines()
        assert "the routers 'first', 'lonely', 'second' cannot" in line


class TestABackendThatIsMisspelled:
    def test_of_a_variant_is_a_warning_with_the_name(self, repository):
        add_model(repository, "a_b", 'backend: "pyton"' + TENSORS + parameter("device", "cpu"))
        add_model(repository, "r", 'backend: "router_backend"\n' + parameter("variants", "a_b"))
        assert warnings_of(repository, "backend: ") == [
            "model 'a_b', config.pbtxt: backend: expected one that the server has, found 'pyton' (did you "
            "mean 'python'?); correct it, unless the server has such a backend"
        ]
        run(str(repository))

    def test_of_a_router_is_a_warning_with_the_name(self, repository):
        add_model(repository, "r", 'backend: "router_backnd"\n' + parameter("variants", "a_cpu"))
        (warning,) = warnings_of(repository, "backend: ")
        assert "model 'r', " in warning
        assert "did you mean 'router_backend'?" in warning


class TestRoutersOnTwoHosts:
    def add(self, repository: Path, name: str, runtime: str) -> None:
        text = f'backend: "router_backend" {runtime}\n' + parameter("variants", "a_cpu")
        add_model(repository, name, text)

    def test_are_a_warning_that_names_both(self, repository):
        self.add(repository, "one", 'runtime: "model.py"')
        self.add(repository, "two", 'runtime: "model.py"')
        (warning,) = warnings_of(repository, "hosts")
        assert warning.startswith(
            "the routers 'one', 'two' with runtime: \"model.py\" and the router 'resnet50' without it"
        )

    def test_may_be_in_the_plain_form(self, repository):
        """`vgg` of the repository is an ordinary Python model."""
        shutil.rmtree(repository / "resnet50")
        self.add(repository, "one", 'runtime: "model.py"')
        assert warnings_of(repository, "hosts") == []


class TestTheTraceFileOfARouter:
    def warning(self, repository: Path, path: str) -> list[str]:
        text = parameter("variants", "a_cpu") + parameter("trace_file", path)
        add_model(repository, "traced", 'backend: "router_backend"\n' + text)
        warnings = json.loads(run(str(repository), "--json"))["warnings"]
        return [each for each in warnings if "trace_file" in each]

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            ("nowhere/trace.jsonl", "no folder '"),
            ("models", "a folder at '"),
            ("rules/routing.json/trace.jsonl", "none that can be read (Not a directory) at '"),
        ],
    )
    def test_that_cannot_be_written_is_a_warning(self, repository, tmp_path, path, found):
        (warning,) = self.warning(repository, str(tmp_path / path))
        assert warning.startswith(
            "model 'traced', config.pbtxt: trace_file: expected a file that can be written, found " + found
        )

    @pytest.mark.parametrize("path", ["trace.jsonl", "rules/routing.json"])
    def test_that_can_be_written_is_valid(self, repository, tmp_path, path):
        assert self.warning(repository, str(tmp_path / path)) == []

    def test_whose_path_only_the_server_knows_is_not_checked(self, repository):
        assert self.warning(repository, "nowhere/trace.jsonl") == []
