from typing import Any

import pytest

from router_backend.config.load import read_router_setup
from router_backend.core.records.variant import Device
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError

GPU = "instance_group [{ kind: KIND_GPU }]"
CPU = "instance_group [{ kind: KIND_CPU count: 2 }]"
IMAGE = {"name": "image", "data_type": "TYPE_FP32", "dims": ["3", "224", "224"]}
SCORES = {"name": "scores", "data_type": "TYPE_FP32", "dims": ["1000"]}
DECISION = {"name": "routing_decision", "data_type": "TYPE_STRING", "dims": ["1"]}


@pytest.fixture
def two_variants(write_model):
    """A GPU variant that takes batches up to 32, and a CPU variant that takes them up to 8."""
    write_model("resnet50_gpu", GPU, max_batch_size=32)
    write_model("resnet50_cpu", CPU, max_batch_size=8)


def config_of(variants: str = "resnet50_gpu, resnet50_cpu", **more: Any) -> dict[str, Any]:
    return {"name": "resnet50", "parameters": {"variants": {"string_value": variants}}, **more}


@pytest.mark.usefixtures("two_variants")
class TestTwoVariants:
    def test_a_router_that_says_nothing_of_its_tensors_gets_them_from_its_variants(self, repository):
        model = read_router_setup(config_of(), repository)
        assert model.name == "resnet50"
        assert [(v.name, v.device, v.concurrency) for v in model.variants] == [
            ("resnet50_gpu", Device.GPU, 1),
            ("resnet50_cpu", Device.CPU, 2),
        ]
        assert model.signature.max_batch_size == 32
        assert [tensor.name for tensor in model.signature.inputs + model.signature.outputs] == [
            "image",
            "scores",
        ]

    def test_a_router_that_repeats_its_variants_tensors_is_accepted(self, repository):
        config = config_of(input=[IMAGE], output=[SCORES, DECISION], max_batch_size=16)
        signature = read_router_setup(config, repository).signature
        assert [tensor.name for tensor in signature.outputs] == ["scores"]

    def test_tensors_that_differ_from_the_variants_name_the_router_and_a_variant(self, repository):
        config = config_of(input=[{**IMAGE, "dims": ["3", "299", "299"]}])
        with pytest.raises(
            ConfigurationError, match=r"models 'resnet50' and 'resnet50_gpu': input 'image': .*299"
        ):
            read_router_setup(config, repository)

    def test_a_batch_beyond_every_variants_is_refused_with_the_largest(self, repository):
        with pytest.raises(ConfigurationError) as error:
            read_router_setup(config_of(max_batch_size=64), repository)
        message = str(error.value)
        assert message.startswith("model 'resnet50', config.pbtxt: max_batch_size: expected at most 32")
        assert "found 64" in message

    def test_a_cache_of_the_router_is_refused_with_the_reason(self, repository):
        with pytest.raises(ConfigurationError) as error:
            read_router_setup(config_of(response_cache={"enable": True}), repository)
        assert str(error.value) == (
            "model 'resnet50', config.pbtxt: response_cache.enable: expected false, since a cache would "
            "answer a client with the decision or the dry run of another one, found true; "
            "enable it in the variants instead"
        )
        read_router_setup(config_of(response_cache={"enable": False}), repository)

    def test_a_warm_up_of_the_router_is_refused_with_the_reason(self, repository):
        with pytest.raises(ConfigurationError) as error:
            read_router_setup(config_of(model_warmup=[{"name": "zeros", "batch_size": 1}]), repository)
        assert str(error.value) == (
            "model 'resnet50', config.pbtxt: model_warmup: expected none, since Triton would send it before "
            "the router can call a variant, found 1; declare it in the variants instead"
        )
        read_router_setup(config_of(model_warmup=[]), repository)

    def test_a_router_that_answers_several_times_is_refused(self, repository):
        policy = {"decoupled": True}
        with pytest.raises(ConfigurationError, match="expected false, since a router answers each"):
            read_router_setup(config_of(model_transaction_policy=policy), repository)
        read_router_setup(config_of(model_transaction_policy={}), repository)

    def test_variants_without_commas_between_are_told_apart(self, repository):
        with pytest.raises(ConfigurationError, match="write commas between models instead of ';'"):
            read_router_setup(config_of("resnet50_gpu; resnet50_cpu"), repository)

    @pytest.mark.parametrize("missing", ["name", "data_type"])
    def test_a_tensor_of_the_router_without_a_name_or_type_is_refused(self, repository, missing: str):
        tensor = {key: value for key, value in IMAGE.items() if key != missing}
        with pytest.raises(ConfigurationError, match="expected a name and a data_type") as error:
            read_router_setup(config_of(input=[tensor]), repository)
        assert str(error.value).startswith("model 'resnet50', config.pbtxt: ")

    def test_a_wrong_parameter_hides_no_missing_variant(self, repository):
        config = config_of("resnet50_gpu, nobody")
        config["parameters"]["coverage"] = {"string_value": "2"}
        with pytest.raises(ConfigurationError) as error:
            read_router_setup(config, repository)
        assert [each.path for each in error.value.problems] == ["coverage", "variants[1]"]

    def test_a_wrong_parameter_is_refused(self, repository):
        config = config_of()
        config["parameters"]["polcy"] = {"string_value": "latency"}
        with pytest.raises(ConfigurationError, match=r"'polcy' \(did you mean 'policy'\?\)"):
            read_router_setup(config, repository)

    def test_an_empty_parameter_is_refused_like_any_other_value(self, repository):
        config = config_of()
        config["parameters"]["policy"] = {}
        with pytest.raises(ConfigurationError, match=r"policy: expected one of .* found ''"):
            read_router_setup(config, repository)

    def test_an_optional_output_is_one_of_the_variants(self, repository):
        config = config_of()
        config["parameters"]["optional_outputs"] = {"string_value": "scores"}
        assert read_router_setup(config, repository).parameters.optional_outputs == {"scores"}
        config["parameters"]["optional_outputs"] = {"string_value": "scores, scoers"}
        with pytest.raises(ConfigurationError) as error:
            read_router_setup(config, repository)
        assert str(error.value) == (
            "model 'resnet50', config.pbtxt: optional_outputs: expected outputs of the variants, scores, "
            "found 'scoers' (did you mean 'scores'?)"
        )

    def test_no_parameters_at_all_ask_for_the_variants(self, repository):
        with pytest.raises(ConfigurationError, match="expected the key 'variants'"):
            read_router_setup({"name": "resnet50"}, repository)

    def test_a_variant_that_stands_twice_is_refused(self, repository):
        with pytest.raises(ConfigurationError, match="model 'resnet50': expected every variant once"):
            read_router_setup(config_of("resnet50_cpu, resnet50_cpu"), repository)

    def test_what_is_wrong_with_its_parameters_is_listed_in_the_order_of_their_names(self, repository):
        wrong = {key: {"string_value": "x"} for key in ("metrics", "goal", "worker_threads", "coverage")}
        config = config_of()
        config["parameters"].update(wrong)
        with pytest.raises(ConfigurationError) as error:
            read_router_setup(config, repository)
        assert [problem.path for problem in error.value.problems] == sorted(wrong)

    def test_a_characteristic_that_a_variant_states_wrong_is_refused(self, repository, write_model):
        write_model("resnet50_int8", CPU, 'parameters { key: "macs" value { string_value: "lots" } }')
        with pytest.raises(ConfigurationError, match=r"config\.pbtxt: macs: expected a"):
            read_router_setup(config_of("resnet50_cpu, resnet50_int8"), repository)

    def test_variants_that_disagree_are_named_both(self, repository, write_model):
        write_model(
            "resnet50_int8",
            CPU,
            tensors="input [{ name: 'image' data_type: TYPE_INT8 dims: [3, 224, 224] }]\n"
            "output [{ name: 'scores' data_type: TYPE_FP32 dims: [1000] }]",
        )
        with pytest.raises(
            ConfigurationError,
            match=r"'resnet50', config\.pbtxt, models '\w+_gpu' and '\w+_int8': input 'image'",
        ):
            read_router_setup(config_of("resnet50_gpu,resnet50_int8"), repository)


def test_a_router_with_a_batch_before_variants_without_one_is_refused(repository, write_model):
    write_model("resnet50_gpu", GPU, max_batch_size=0)
    with pytest.raises(ConfigurationError, match="max_batch_size: expected both 0 or neither, found 8 and 0"):
        read_router_setup(config_of("resnet50_gpu", max_batch_size=8), repository)


@pytest.mark.usefixtures("two_variants")
class TestRoutingFile:
    RULES = '{"routing_rules": [{"model_name_pattern": "resnet*", "max_latency_ms": 50}]}'

    def routed(self, path: str) -> dict[str, Any]:
        config = config_of()
        config["parameters"]["routing_config"] = {"string_value": path}
        return config

    def test_without_one_the_router_has_its_own_settings_alone(self, repository):
        model = read_router_setup(config_of(), repository)
        assert model.routing_file is None
        assert model.settings == ModelSettings()

    def test_a_path_is_from_the_routers_own_folder(self, repository):
        (repository / "routing.json").write_text(self.RULES)
        model = read_router_setup(self.routed("../routing.json"), repository)
        assert model.routing_file.path == repository / "routing.json"
        assert model.settings == ModelSettings(max_latency_ms=50.0)

    def test_a_path_from_the_root_is_that(self, repository, tmp_path):
        (tmp_path / "rules.json").write_text(self.RULES)
        model = read_router_setup(self.routed(str(tmp_path / "rules.json")), repository)
        assert model.settings.max_latency_ms == 50.0

    def test_that_is_wrong_is_refused_with_its_place(self, repository):
        (repository / "routing.json").write_text("[]")
        with pytest.raises(ConfigurationError) as error:
            read_router_setup(self.routed("../routing.json"), repository)
        assert str(error.value).startswith(f"{repository}/routing.json: expected an object with")


@pytest.mark.usefixtures("two_variants")
class TestLeftOut:
    def test_a_variant_that_is_left_out_stays_a_variant_and_has_no_part_in_the_signature(
        self, repository, write_model
    ):
        write_model("stream", CPU, "model_transaction_policy { decoupled: true }", max_batch_size=64)
        config = config_of("stream, resnet50_gpu, resnet50_cpu")
        config["parameters"]["policy"] = {"string_value": "static:stream"}
        setup = read_router_setup(config, repository)
        assert [variant.name for variant in setup.variants] == ["stream", "resnet50_gpu", "resnet50_cpu"]
        assert [variant.name for variant in setup.usable] == ["resnet50_gpu", "resnet50_cpu"]
        assert list(setup.left_out) == ["stream"]
        assert setup.signature.max_batch_size == 32

    def test_labels_are_those_of_the_first_variant_that_has_some(self, repository, write_model):
        for name in ("resnet50_a", "resnet50_b"):
            tensors = (
                "input [{ name: 'image' data_type: TYPE_FP32 dims: [3, 224, 224] }]\n"
                "output [{ name: 'scores' data_type: TYPE_FP32 dims: [1000] label_filename: 'labels.txt' }]"
            )
            (write_model(name, CPU, tensors=tensors) / "labels.txt").touch()
        setup = read_router_setup(config_of("resnet50_cpu, resnet50_a, resnet50_b"), repository)
        assert setup.labels == {"scores": "../resnet50_a/labels.txt"}
