from pathlib import Path

import pytest
from router_backend.runtime.symptoms import Symptoms

NOT_READY = (
    "Model a.b - Error when running inference: Failed for execute the inference request. "
    "Model 'a.b' is not ready."
)
UNKNOWN = (
    "Model a.b - Error when running inference: Request for unknown model: 'a.b' has no available versions"
)
DEAD = "Stub process 'a.b_0_0' is not healthy."


@pytest.mark.parametrize("message", [NOT_READY, UNKNOWN])
def test_triton_says_that_a_variant_is_not_loaded(message: str):
    assert Symptoms("a.b").is_not_ready(message)
    assert not Symptoms("a.b").is_dead(message)


@pytest.mark.parametrize("instance", ["a.b_0_0", "a.b_1_12", "a.b_0"])
def test_triton_says_that_a_process_has_ended(instance: str):
    message = DEAD.replace("a.b_0_0", instance)
    assert Symptoms("a.b").is_dead(message)
    assert not Symptoms("a.b").is_not_ready(message)


@pytest.mark.parametrize(
    "message",
    [
        *(text.replace("a.b", "other") for text in (NOT_READY, UNKNOWN, DEAD)),
        *(text.replace("a.b", "axb") for text in (NOT_READY, UNKNOWN, DEAD)),
        *(f"model 'a.b': no variant could answer the request (c: {text})" for text in (NOT_READY, DEAD)),
        *(
            f"Failed to process the request(s) for model 'a.b_0_0', message: {text}"
            for text in (UNKNOWN, DEAD)
        ),
        DEAD.replace("a.b_0_0", "a.b_c_0_0"),
        "unknown model size 7",
        "Model 'a.b' is not ready",
    ],
)
def test_what_is_said_of_another_model_or_by_the_variant_itself_says_nothing_of_it(message: str):
    assert not Symptoms("a.b").is_not_ready(message)
    assert not Symptoms("a.b").is_dead(message)


def test_the_names_of_instance_groups_are_those_of_the_configuration(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.pbtxt").write_text('instance_group [{ name: "gang" }, { kind: KIND_CPU }]')
    symptoms = Symptoms.of("a", tmp_path)
    assert symptoms.is_dead("Stub process 'gang_0' is not healthy.")
    assert symptoms.is_dead("Stub process 'a_1_0' is not healthy.")
    assert not symptoms.is_dead("Stub process 'b_0' is not healthy.")
