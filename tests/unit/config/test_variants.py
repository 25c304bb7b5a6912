from pathlib import Path

import pytest
from msgspec import UNSET, UnsetType

from router_backend.config.repository import RepositoryVariant, find_variants
from router_backend.config.schema import VariantEntry
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError

STATED_CPU = 'parameters { key: "device" value { string_value: "cpu" } }'
STATED_MPS = 'parameters { key: "device" value { string_value: "mps" } }'
GROUP_GPU = "instance_group [{ kind: KIND_GPU count: 1 }]"
GROUP_AUTO = "instance_group [{ kind: KIND_AUTO count: 1 }]"


def find(repository: Path, name: str, device: Device | UnsetType = UNSET) -> RepositoryVariant:
    (found,) = find_variants("resnet50", [VariantEntry(name, device)], repository)
    return found


def refusal(repository: Path, name: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        find(repository, name)
    return str(error.value)


def test_a_variant_is_described_by_its_own_configuration(repository, write_model):
    write_model("resnet50_cpu", STATED_CPU, max_batch_size=32)
    found = find(repository, "resnet50_cpu")
    assert (found.variant.name, found.variant.device) == ("resnet50_cpu", Device.CPU)
    assert (found.variant.max_batch_size, found.signature.max_batch_size) == (32, 32)
    assert [tensor.name for tensor in found.signature.inputs] == ["image"]
    assert [tensor.dims for tensor in found.signature.outputs] == [(1000,)]


def test_variants_are_found_in_the_order_of_the_entries(repository, write_model):
    names = ["c", "a", "b"]
    for name in names:
        write_model(name, STATED_CPU)
    entries = [VariantEntry(name) for name in names]
    assert [found.variant.name for found in find_variants("resnet50", entries, repository)] == names


class TestDevice:
    @pytest.mark.parametrize(
        ("lines", "entry", "device"),
        [
            ([STATED_MPS, GROUP_GPU], Device.CPU, Device.MPS),
            ([GROUP_GPU], Device.CPU, Device.GPU),
            (["instance_group [{ kind: KIND_CPU }]"], None, Device.CPU),
            ([GROUP_AUTO], Device.NEURAL_ENGINE, Device.NEURAL_ENGINE),
            ([], Device.NEURAL_ENGINE, Device.NEURAL_ENGINE),
            (["instance_group [{ kind: KIND_MODEL }, { kind: KIND_GPU }]"], Device.CPU, Device.GPU),
        ],
    )
    def test_is_the_models_parameter_else_its_instance_group_else_the_entry(
        self, repository, write_model, lines, entry, device
    ):
        write_model("variant", *lines)
        assert find(repository, "variant", entry).variant.device is device

    def test_that_nothing_tells_is_asked_for_with_every_way_to_say_it(self, repository, write_model):
        write_model("variant")
        message = refusal(repository, "variant")
        assert message.startswith(
            "model 'variant', config.pbtxt: expected the device that it runs on, found none; add"
        )
        for way in ("parameter 'device'", "KIND_CPU or KIND_GPU", "'variant=<device>'", "neural_engine"):
            assert way in message

    @pytest.mark.parametrize(
        ("stated", "hint"),
        [
            ("asic", ""),
            ("", ""),
            ("CPU", " (did you mean 'cpu'?)"),
            ("metal_mps", " (did you mean 'mps'?)"),
        ],
    )
    def test_that_does_not_exist_is_refused_with_the_ones_that_do(
        self, repository, write_model, stated, hint
    ):
        write_model(
            "variant", f'parameters {{ key: "device" value {{ string_value: "{stated}" }} }}', GROUP_GPU
        )
        assert refusal(repository, "variant") == (
            "model 'variant', config.pbtxt: device: "
            f"expected one of cpu, gpu, neural_engine, mps, found '{stated}'{hint}"
        )


class TestConcurrency:
    @pytest.mark.parametrize(
        ("groups", "concurrency"),
        [
            ("", 1),
            ("instance_group [{ kind: KIND_CPU }]", 1),
            ("instance_group [{ kind: KIND_CPU count: 3 }]", 3),
            ("instance_group [{ kind: KIND_CPU count: 3 }, { kind: KIND_CPU count: 2 }]", 5),
            ("instance_group [{ kind: KIND_GPU count: 2 gpus: [0, 1, 3] }]", 6),
            ("instance_group [{ kind: KIND_GPU count: 2 gpus: [0] }, { kind: KIND_GPU gpus: [1] }]", 3),
        ],
    )
    def test_is_the_sum_of_the_instances_over_the_groups_and_their_gpus(
        self, repository, write_model, groups, concurrency
    ):
        write_model("variant", STATED_CPU, groups)
        assert find(repository, "variant").variant.concurrency == concurrency


class TestRefusals:
    def test_a_misspelt_variant_is_told_with_the_nearest_model_of_the_repository(
        self, repository, write_model
    ):
        write_model("resnet50_gpu", GROUP_GPU)
        write_model("resnet50_cpu", STATED_CPU)
        message = refusal(repository, "resnet50_cqu")
        assert message.startswith(
            f"model 'resnet50', config.pbtxt: variants[0]: expected a model with a config.pbtxt in the "
            f"repository {repository}, found 'resnet50_cqu' (did you mean 'resnet50_cpu'?)"
        )

    def test_the_router_cannot_be_its_own_variant(self, repository, write_model):
        write_model("resnet50", STATED_CPU)
        message = refusal(repository, "resnet50")
        assert (
            "variants[0]: expected the models behind the router, found 'resnet50', the router itself"
            in message
        )

    @pytest.mark.parametrize("name", ["c/", "./c", "../repository/c", "/c", ".", ".."])
    def test_a_path_is_no_name_of_a_variant(self, repository, write_model, name):
        write_model("c", STATED_CPU)
        assert refusal(repository, name) == (
            "model 'resnet50', config.pbtxt: variants[0]: expected the plain name of a model, "
            f"found '{name}'; write the name of its folder in the repository, without slashes"
        )

    @pytest.mark.parametrize(
        "tensors",
        [
            "",
            "input [{ name: 'image' data_type: TYPE_FP32 dims: [3] }]",
            "output [{ name: 'scores' data_type: TYPE_FP32 dims: [3] }]",
        ],
    )
    def test_a_variant_that_leaves_its_tensors_open_is_refused(self, repository, write_model, tensors):
        write_model("variant", STATED_CPU, tensors=tensors)
        message = refusal(repository, "variant")
        assert message.startswith("model 'variant', config.pbtxt: expected input and output")
        assert "the router 'resnet50' needs" in message

    def test_a_configuration_that_cannot_be_parsed_is_told_with_its_path(self, repository, write_model):
        folder = write_model("variant", "no_such_field: 1")
        assert refusal(repository, "variant").startswith(
            f"{folder / 'config.pbtxt'}: expected a model configuration, found an error"
        )


class TestLeftOut:
    """A variant that Triton cannot load or call as it is, beside one that it can."""

    @pytest.fixture(autouse=True)
    def usable(self, write_model):
        write_model("resnet50_cpu", STATED_CPU)

    def reason(self, repository: Path, *names: str) -> str:
        """Return why the first variant is left out; the second one is not."""
        left_out, usable = find_variants("resnet50", [VariantEntry(name) for name in names], repository)
        assert usable.left_out is None
        assert left_out.variant.name == names[0]
        return str(left_out.left_out)

    @pytest.mark.parametrize("content", [b"no_such_field: 1", b"input [", b"\xff"])
    def test_is_one_whose_configuration_is_broken(self, repository, write_model, content):
        file = write_model("broken") / "config.pbtxt"
        file.write_bytes(content)
        assert self.reason(repository, "broken", "resnet50_cpu").startswith(f"{file}: expected ")

    def test_is_one_whose_configuration_cannot_be_read(self, repository):
        file = repository / "folder" / "config.pbtxt"
        file.mkdir(parents=True)
        reason = self.reason(repository, "folder", "resnet50_cpu")
        assert reason == f"{file}: expected a model configuration, found a folder"

    def test_is_one_that_is_decoupled(self, repository, write_model):
        write_model("stream", STATED_CPU, "model_transaction_policy { decoupled: true }")
        assert self.reason(repository, "stream", "resnet50_cpu") == (
            "model 'stream', config.pbtxt: model_transaction_policy.decoupled: expected false, since Triton "
            "does not let a model call a decoupled one for its answer, found true; serve it without that "
            "policy"
        )

    @pytest.mark.parametrize(("missing", "written"), [("name", "name: 'image'"), ("data_type", "TYPE_FP32")])
    def test_is_one_with_a_tensor_without_name_or_type(self, repository, write_model, missing, written):
        file = write_model("nameless") / "config.pbtxt"
        changed = {"name": "", "data_type": "TYPE_INVALID"}[missing]
        file.write_text(file.read_text().replace(written, changed, 1))
        assert self.reason(repository, "nameless", "resnet50_cpu").startswith(
            "model 'nameless', config.pbtxt: expected a name and a data_type for every input and output, "
            f"found an error: Object missing required field `{missing}`"
        )

    def test_costs_the_router_if_no_other_one_is_left(self, repository, write_model):
        for name in ("one", "two"):
            write_model(name, STATED_CPU, "model_transaction_policy { decoupled: true }")
        with pytest.raises(ConfigurationError) as error:
            find_variants("resnet50", [VariantEntry("one"), VariantEntry("two")], repository)
        assert [problem.where for problem in error.value.problems] == [
            "model 'one', config.pbtxt",
            "model 'two', config.pbtxt",
        ]


class TestLabels:
    TENSORS = """
        input [{ name: 'image' data_type: TYPE_FP32 dims: [3] }]
        output [
            { name: 'scores' data_type: TYPE_FP32 dims: [2] label_filename: 'labels.txt' },
            { name: 'sizes' data_type: TYPE_FP32 dims: [2] }
        ]
    """

    def test_are_found_from_the_routers_folder(self, repository, write_model):
        folder = write_model("variant", STATED_CPU, tensors=self.TENSORS)
        (folder / "labels.txt").write_text("cat\ndog\n")
        labels = find(repository, "variant").labels
        assert labels == {"scores": "../variant/labels.txt"}

    def test_of_a_file_that_is_missing_do_not_count(self, repository, write_model):
        write_model("variant", STATED_CPU, tensors=self.TENSORS)
        assert find(repository, "variant").labels == {}
