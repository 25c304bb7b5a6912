import json
import shutil

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
        remote = parameter("url", "mac:8001")  # it may be away while it loads: a warm-up would end the load
        for name, more in (("a_gpu", ""), ("a_mps", ""), ("a_warm", warm), ("a_far", remote)):
            device = name.removeprefix("a_").replace("warm", "gpu").replace("far", "gpu")
            add_model(repository, name, TENSORS + parameter("device", device) + more)
        variants = parameter("variants", "a_cpu, a_gpu, a_mps, a_warm, a_far")
        add_model(repository, "mixed", 'backend: "router_backend"\n' + variants)
        (hint,) = json.loads(run(str(repository), "--json"))["hints"]
        assert hint.startswith("model 'mixed': the first request may be slow at a_gpu, a_mps; a model_warmup")
        assert f"hint: {hint}" in run(str(repository))

    def test_whose_router_is_a_variant_is_not_told_to_warm_it_up(self, repository):
        add_model(repository, "a_gpu", TENSORS + parameter("device", "gpu"))
        add_model(repository, "behind", 'backend: "router_backend"\n' + parameter("variants", "a_gpu"))
        add_model(repository, "front", 'backend: "router_backend"\n' + parameter("variants", "behind"))
        hints = json.loads(run(str(repository), "--json"))["hints"]
        assert [hint for hint in hints if hint.startswith("model 'front'")] == []

    def test_whose_folder_for_profiles_is_not_there_is_valid_with_a_warning(self, repository):
        more = parameter("variants", "a_cpu") + parameter("profile_folder", "/nonexistent/profiles")
        add_model(repository, "keeper", 'backend: "router_backend"\n' + more)
        warnings = json.loads(run(str(repository), "--json"))["warnings"]
        assert any("profile_folder: expected a folder, found no such file" in each for each in warnings)

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
