import pytest
from msgspec import UNSET

from router_backend.config.repository import RepositoryVariant, check_no_cycle, find_variants
from router_backend.config.schema import VariantEntry
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError

STATED_CPU = 'parameters { key: "device" value { string_value: "cpu" } }'


def router(variants: str, backend: str = "router_backend") -> str:
    return f'backend: "{backend}" parameters {{ key: "variants" value {{ string_value: "{variants}" }} }}'


def ensemble(*steps: str) -> str:
    return f"ensemble_scheduling {{ {' '.join(f'step {{ model_name: {step!r} }}' for step in steps)} }}"


def refusal(repository, *variants: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        check_no_cycle("a", variants, repository)
    return str(error.value)


@pytest.mark.parametrize("back", [router("c, a=cpu"), router(" c,a ", "python"), ensemble("c", "a")])
def test_a_variant_that_calls_the_router_is_refused_with_the_way(repository, write_model, back):
    write_model("b", back)
    assert refusal(repository, "x", "b") == (
        "expected no circular routing, found a → b → a; remove one of them"
    )


def test_a_way_back_of_many_steps_is_refused_too(repository, write_model):
    write_model("b", router("x, c"))
    write_model("c", ensemble("d"))
    write_model("d", router("a", "python"))
    assert "found a → b → c → d → a;" in refusal(repository, "b")


def test_a_cycle_is_refused_where_the_variants_are_found(repository, write_model):
    write_model("b", router("a"), STATED_CPU)
    with pytest.raises(ConfigurationError, match=r"model 'a', config\.pbtxt: variants: .* found a → b → a"):
        find_variants("a", [VariantEntry("b")], repository)


def test_routers_behind_routers_are_fine_and_so_is_a_model_that_two_of_them_share(repository, write_model):
    write_model("b", router("x, y"))
    write_model("c", router("y, d"))
    write_model("d", router("y"))
    check_no_cycle("a", ["b", "c", "y"], repository)


def test_a_circle_among_others_is_theirs_to_refuse(repository, write_model):
    write_model("b", router("c"))
    write_model("c", router("b"))
    check_no_cycle("a", ["b"], repository)


@pytest.mark.parametrize("name", ["absent", "../a", ""])
def test_what_is_not_there_calls_nothing(repository, write_model, name):
    write_model("a", router("b"))
    write_model("b", router(name))
    check_no_cycle("a", ["b"], repository)


def test_what_cannot_be_read_calls_nothing(repository, write_model):
    write_model("b", router("c"))
    write_model("c", "no_such_field: 1")
    check_no_cycle("a", ["b"], repository)


@pytest.mark.parametrize("backend", ["onnxruntime", ""])
def test_a_parameter_of_another_backends_model_says_nothing(repository, write_model, backend):
    write_model("b", router("a", backend))
    check_no_cycle("a", ["b"], repository)


class TestRouterBeforeARouter:
    """Router b, with the variants x and y, is a variant of router a."""

    X = (STATED_CPU, "instance_group { count: 2 }")
    Y = 'parameters { key: "device" value { string_value: "gpu" } }'

    def read(self, repository, device=UNSET) -> RepositoryVariant:
        (found,) = find_variants("a", [VariantEntry("b", device)], repository)
        return found

    def test_its_tensors_batch_size_and_concurrency_are_those_of_its_variants(self, repository, write_model):
        write_model("x", *self.X, max_batch_size=8)
        write_model("y", STATED_CPU, max_batch_size=4)
        write_model("b", router("x, y"), tensors="", max_batch_size=0)
        found = self.read(repository)
        assert (found.variant.device, found.variant.concurrency) == (Device.CPU, 3)
        assert (found.variant.max_batch_size, found.signature.max_batch_size) == (8, 8)
        assert [tensor.name for tensor in found.signature.inputs] == ["image"]
        assert [tensor.name for tensor in found.signature.outputs] == ["scores"]

    def test_its_decision_is_no_output_of_a_variant_and_its_own_batch_size_counts(
        self, repository, write_model
    ):
        write_model("x", STATED_CPU)
        decision = "output { name: 'routing_decision' data_type: TYPE_STRING dims: 1 }"
        write_model("b", router("x"), decision, max_batch_size=2)
        found = self.read(repository)
        assert [tensor.name for tensor in found.signature.outputs] == ["scores"]
        assert found.variant.max_batch_size == 2

    def test_its_device_must_be_named_if_its_variants_are_on_several(self, repository, write_model):
        write_model("x", STATED_CPU)
        write_model("y", self.Y)
        write_model("b", router("x, y"), "instance_group { kind: KIND_CPU }", tensors="")
        assert self.read(repository, Device.GPU).variant.device is Device.GPU
        with pytest.raises(ConfigurationError) as error:
            self.read(repository)
        assert str(error.value) == (
            "model 'b', config.pbtxt: expected one device for all variants "
            "behind 'b', or 'b=<device>', found cpu, gpu; write it in the parameter 'variants' of the router "
            "before it"
        )

    def test_one_that_cannot_load_is_left_out_with_the_reason(self, repository, write_model):
        write_model("x", STATED_CPU)
        write_model("b", router("absent"), tensors="")
        found = find_variants("a", [VariantEntry("b"), VariantEntry("x")], repository)
        assert "model 'b', config.pbtxt: variants[0]: expected a model with a config.pbtxt" in str(
            found[0].left_out
        )

    def test_circles_behind_it_are_found(self, repository, write_model):
        write_model("x", STATED_CPU)
        write_model("b", router("c"), tensors="")
        write_model("c", router("b"), tensors="")
        found = find_variants("a", [VariantEntry("b"), VariantEntry("x")], repository)
        assert "found b → c → b" in str(found[0].left_out)
