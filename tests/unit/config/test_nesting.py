import pytest

from router_backend.config.repository import check_no_cycle, find_variants
from router_backend.config.schema import VariantEntry
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
