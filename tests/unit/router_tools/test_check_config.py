import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from onnx import helper
from typer.testing import CliRunner

from router_backend.core.settings import ModelSettings
from router_tools.__main__ import app
from router_tools.config_check.checked import NAMES
from router_tools.errors import ToolError
from tests.onnx_models import constant, floats, write_model
from tests.unit.config.routing_documents import EXPERIMENT, FULL

TENSORS = """
max_batch_size: 8
input [{ name: 'image' data_type: TYPE_FP32 dims: [3] }]
output [{ name: 'scores' data_type: TYPE_FP32 dims: [2] }]
"""


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check-config", *arguments], env={"COLUMNS": "200"})


def run(*arguments: str) -> str:
    """What the command prints about what is valid; an error of its own is raised."""
    result = check(*arguments)
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def refusal(*arguments: str) -> str:
    """What the command prints about what is wrong, one error a line."""
    result = check(*arguments)
    if isinstance(result.exception, ToolError):
        return str(result.exception)
    assert result.exit_code == 1
    return "\n".join(line.removeprefix("error: ") for line in result.stderr.splitlines())


def add_model(repository: Path, name: str, text: str) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "1" / "model.py").touch()
    (repository / name / "config.pbtxt").write_text(text)


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


def write_scorer(path: Path, name: str = "image", size: int = 3) -> None:
    """Write an ONNX file with the tensors of TENSORS, or an input that differs."""
    write_model(
        path,
        [helper.make_node("MatMul", [name, "weights"], ["scores"])],
        [floats(name, "batch", size)],
        [floats("scores", "batch", 2)],
        [constant("weights", np.ones((size, 2)), np.float32)],
    )


def warnings_of(repository: Path, word: str) -> list[str]:
    return [each for each in json.loads(check(str(repository), "--json").stdout)["warnings"] if word in each]


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
            "model 'bad', config.pbtxt: variants[0]",
            "model 'bad', config.pbtxt: variants[1]",
            f"{repository}/resnet50/../../rules/routing.json".replace("models/resnet50/../../", ""),
            "model 'worse', config.pbtxt: variants[0]",
            "model 'worse', config.pbtxt: variants[1]",
        ]

    @pytest.mark.parametrize(
        "mistake", [("polcy", "p2c"), ("max_latency_ms", "-1"), ("coverage", "2"), ("policy", "p3c")]
    )
    def test_a_wrong_parameter_hides_no_wrong_variant(self, repository, mistake):
        other = TENSORS.replace("dims: [3]", "dims: [4]") + parameter("device", "gpu")
        add_model(repository, "a_gpu", other)
        for name, variants in (("bad", "a_cpu, a_gpu"), ("worse", "a_cpu, nobody")):
            text = parameter("variants", variants) + parameter(*mistake)
            add_model(repository, name, 'backend: "router_backend"\n' + text)
        lines = refusal(str(repository)).splitlines()
        assert len(lines) == 4
        assert "models 'a_cpu' and 'a_gpu': input 'image': expected" in lines[1]
        assert "model 'worse', config.pbtxt: variants[1]: expected" in lines[3]

    def test_wrong_variants_are_reported_once_beside_another_parameter(self, repository):
        text = parameter("variants", "a_cpu=tpu") + parameter("coverage", "2")
        add_model(repository, "bad", 'backend: "router_backend"\n' + text)
        assert len(refusal(str(repository)).splitlines()) == 2

    def test_a_pattern_for_a_router_that_is_wrong_is_no_warning(self, repository, file):
        text = parameter("coverage", "2") + parameter("routing_config", "../../rules/routing.json")
        add_model(repository, "bert_1", 'backend: "router_backend"\n' + parameter("variants", "a_cpu") + text)
        assert warnings_of(repository, "matches no router") == []

    def test_a_pattern_for_a_model_that_cannot_be_read_is_no_warning(self, repository, file):
        add_model(repository, "bert_1", "oops {")
        assert warnings_of(repository, "matches no router") == []

    def test_a_pattern_for_no_router_is_a_warning_while_the_file_is_wrong(self, repository, file):
        file.write_text(json.dumps({**FULL, "profiling": "yes"}))
        warning = f"{file}: the pattern 'bert_?' matches no router that follows it (resnet50, vgg)"
        assert warning in check(str(repository)).stdout

    @pytest.mark.parametrize("text", ["{", '{"routing_rules": [7, {}], "experiments": {}}'])
    def test_a_file_without_patterns_has_no_such_warning(self, repository, file, text):
        file.write_text(text)
        assert warnings_of(repository, "matches no router") == []

    def test_whose_router_has_no_version_folder_is_refused_with_what_else_is_wrong(self, repository):
        add_model(repository, "bad", 'backend: "router_backend"\n' + parameter("variants", "nobody"))
        shutil.rmtree(repository / "bad" / "1")
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


def onnx(name: str, **parameters: str) -> str:
    stated = {"device": "cpu", "execution_provider": "CPUExecutionProvider"} | parameters
    texts = "".join(parameter(key, value) for key, value in stated.items())
    return f'name: "{name}"\nbackend: "python"\n' + TENSORS + texts


def write_executor(folder: Path, module: str = "onnx_runtime") -> None:
    code = f"from router_backend.executors.{module} import TritonPythonModel\n"
    (folder / "1" / "model.py").write_text(code)


class TestTheFolderOfAVariant:
    def router_of(self, repository: Path, name: str) -> None:
        add_model(repository, "r", 'backend: "router_backend"\n' + parameter("variants", name))

    def test_without_a_version_is_refused(self, repository):
        shutil.rmtree(repository / "a_cpu" / "1")
        assert refusal(str(repository)) == (
            "model 'a_cpu': expected a folder '1' beside config.pbtxt, found none; add it, with a file in "
            "it, since git drops empty ones"
        )

    def test_without_a_version_that_it_names_is_refused(self, repository):
        text = TENSORS + parameter("device", "cpu") + "version_policy { specific { versions: [1, 3] } }"
        add_model(repository, "a_3", text)
        self.router_of(repository, "a_3")
        assert "model 'a_3': version_policy.specific: expected versions with a folder beside" in refusal(
            str(repository)
        )

    @pytest.mark.parametrize(
        ("backend", "named"),
        [
            ('backend: "onnxruntime"', "model.onnx"),
            ('platform: "onnxruntime_onnx"', "model.onnx"),
            ('backend: "tensorrt"', "model.plan"),
            ('backend: "pytorch"', "model.pt"),
            ('backend: "openvino"', "model.xml"),
            ('backend: "python"', "model.py"),
            ('backend: "tensorflow"', "model.graphdef"),
            ('backend: "onnxruntime"\ndefault_model_filename: "bert.onnx"', "bert.onnx"),
        ],
    )
    def test_without_the_file_that_its_backend_loads_is_refused(self, repository, backend, named):
        add_model(repository, "a_b", backend + TENSORS + parameter("device", "cpu"))
        (repository / "a_b" / "1" / "model.py").rename(repository / "a_b" / "1" / "other.bin")
        self.router_of(repository, "a_b")
        message = refusal(str(repository))
        assert message.startswith("model 'a_b': expected the file 1/model.") or "1/bert.onnx" in message
        assert named in message
        assert message.endswith(
            "found other.bin; add it, or name another in default_model_filename of config.pbtxt"
        )
        (repository / "a_b" / "1" / named).touch()
        if named.endswith(".onnx"):
            write_scorer(repository / "a_b" / "1" / named)
        run(str(repository))

    def test_is_checked_in_the_version_that_is_loaded(self, repository):
        add_model(repository, "a_b", 'backend: "onnxruntime"' + TENSORS + parameter("device", "cpu"))
        (repository / "a_b" / "12").mkdir()
        write_scorer(repository / "a_b" / "12" / "model.onnx")
        self.router_of(repository, "a_b")
        run(str(repository))
        (repository / "a_b" / "101").mkdir()
        assert "the file 101/model.onnx" in refusal(str(repository))

    @pytest.mark.parametrize("backend", ["mine", "onnx", "python_2"])
    def test_of_an_unknown_backend_is_not_checked(self, repository, backend):
        add_model(repository, "a_b", f'backend: "{backend}"' + TENSORS + parameter("device", "cpu"))
        self.router_of(repository, "a_b")
        run(str(repository))

    def test_with_another_name_than_the_models_is_refused(self, repository):
        add_model(repository, "text", 'name: "txt"\n' + TENSORS + parameter("device", "cpu"))
        self.router_of(repository, "text")
        assert refusal(str(repository)) == (
            "model 'text', config.pbtxt: name: expected 'text', the name of the folder, found 'txt'; write "
            "it, or leave it out"
        )

    @pytest.mark.parametrize("runtime", ["model.py", "libtriton_router_backend.so"])
    def test_of_a_router_may_name_its_host(self, repository, runtime):
        text = f'backend: "router_backend" runtime: "{runtime}"\n' + parameter("variants", "a_cpu")
        add_model(repository, "r", text)
        run(str(repository))

    def test_of_a_router_with_an_unknown_runtime_is_refused(self, repository):
        text = 'backend: "router_backend" runtime: "modle.py"\n' + parameter("variants", "a_cpu")
        add_model(repository, "r", text)
        assert refusal(str(repository)).startswith(
            "model 'r', config.pbtxt: runtime: expected one of model.py, libtriton_router_backend.so, found "
            "'modle.py' (did you mean 'model.py'?)"
        )


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


class TestAnOnnxFile:
    """Of Triton's ONNX Runtime backend."""

    def add(self, repository: Path, text: str = TENSORS) -> Path:
        add_model(repository, "a_b", 'backend: "onnxruntime"' + text + parameter("device", "cpu"))
        add_model(repository, "r", 'backend: "router_backend"\n' + parameter("variants", "a_b"))
        return repository / "a_b" / "1" / "model.onnx"

    @pytest.mark.parametrize(
        ("content", "found"),
        [(b"", "an empty file"), (b"version https://git-lfs", "an error"), (b"\x08\x07", "one without an")],
    )
    def test_that_is_none_is_refused(self, repository, content, found):
        path = self.add(repository)
        path.write_bytes(content)
        (message,) = refusal(str(repository)).splitlines()
        assert message.startswith(f"model 'a_b', {path}: expected an ONNX model, found {found}")

    def test_with_another_input_is_refused(self, repository):
        write_scorer(self.add(repository), name="picture")
        assert refusal(str(repository)) == (
            "model 'a_b', config.pbtxt: input: expected the inputs of the ONNX file, 'picture', found "
            "'image'; use the same names"
        )

    def test_with_other_dims_is_refused(self, repository):
        write_scorer(self.add(repository), size=4)
        assert refusal(str(repository)) == (
            "model 'a_b', config.pbtxt: input 'image': expected the shape of the ONNX file, [-1, 4], found "
            "[-1, 3] with the batch dimension; write the same dims"
        )

    def test_with_everything_wrong_is_refused_with_each(self, repository):
        write_scorer(self.add(repository, TENSORS.replace("[2]", "[7]")), size=4)
        assert len(refusal(str(repository)).splitlines()) == 2

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("dims: [3]", "dims: [3, 1] reshape { shape: [3] }"),
            ("TYPE_FP32 dims: [3]", "TYPE_BF16 dims: [5]"),
        ],
        ids=["reshaped", "a type that is not compared"],
    )
    def test_whose_tensors_only_triton_can_compare_is_valid(self, repository, old, new):
        write_scorer(self.add(repository, TENSORS.replace(old, new)))
        run(str(repository))

    def test_of_which_not_all_outputs_are_used_is_valid(self, repository):
        write_model(
            self.add(repository),
            [
                helper.make_node("MatMul", ["image", "weights"], ["scores"]),
                helper.make_node("Neg", ["image"], ["other"]),
            ],
            [floats("image", "batch", 3)],
            [floats("scores", "batch", 2), floats("other", "batch", 3)],
            [constant("weights", np.ones((3, 2)), np.float32)],
        )
        run(str(repository))


class TestTheExecutorOfAVariant:
    def add(
        self, repository: Path, text: str, module: str = "onnx_runtime", file: str = "model.onnx"
    ) -> None:
        add_model(repository, "a_x", text)
        write_executor(repository / "a_x", module)
        write_scorer(repository / "a_x" / "1" / file)
        add_model(repository, "r", 'backend: "router_backend"\n' + parameter("variants", "a_x"))

    def test_is_valid_with_its_file(self, repository):
        self.add(repository, onnx("a_x", onnx_file="net.onnx"), file="net.onnx")
        run(str(repository))

    def test_without_its_file_is_refused(self, repository):
        self.add(repository, onnx("a_x"), file="net.onnx")
        assert refusal(str(repository)) == (
            "model 'a_x': expected the file 1/model.onnx, which the ONNX executor loads, found model.py, "
            "net.onnx (did you mean 'net.onnx'?); add it, or name another in the parameter onnx_file"
        )

    def test_whose_file_has_other_dims_is_refused(self, repository):
        self.add(repository, onnx("a_x"))
        write_scorer(repository / "a_x" / "1" / "model.onnx", size=4)
        assert refusal(str(repository)).startswith("model 'a_x', config.pbtxt: input 'image': expected the")

    def test_with_an_unknown_parameter_is_refused_with_the_nearest(self, repository):
        self.add(repository, onnx("a_x", executon_provider="CPUExecutionProvider"))
        message = refusal(str(repository))
        assert message.startswith("model 'a_x', config.pbtxt: ")
        assert "'executon_provider' (did you mean 'execution_provider'?)" in message

    def test_of_an_emulated_device_is_checked_likewise(self, repository):
        text = 'backend: "python"' + TENSORS + parameter("device", "gpu") + parameter("base_ms", "1")
        self.add(repository, text, "emulated_device")
        assert "model 'a_x', config.pbtxt: expected the parameters base_ms and per_item_ms" in refusal(
            str(repository)
        )

    def test_of_another_kind_may_have_any_parameters(self, repository):
        text = 'backend: "python"' + TENSORS + parameter("device", "cpu") + parameter("executon", "x")
        self.add(repository, text, "responses")
        run(str(repository))


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
