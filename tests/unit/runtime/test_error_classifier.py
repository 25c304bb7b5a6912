from pathlib import Path

import pytest

from router_backend.core.records.outcome import Fault
from router_backend.runtime.error_classifier import ErrorClassifier

NOT_READY = (
    "Model a.b - Error when running inference: Failed for execute the inference request. "
    "Model 'a.b' is not ready."
)
UNKNOWN = (
    "Model a.b - Error when running inference: Request for unknown model: 'a.b' has no available versions"
)
DEAD = "Stub process 'a.b_0_0' is not healthy."


def fault_of(message: str) -> Fault:
    """Return how variant a.b failed; another variant has named instances."""
    return ErrorClassifier({"a.b": [], "other": ["gang"]}).classify("a.b", message, "INTERNAL").fault


@pytest.mark.parametrize("message", [NOT_READY, UNKNOWN])
def test_triton_says_that_a_variant_is_not_loaded(message: str):
    assert fault_of(message) is Fault.NOT_READY


@pytest.mark.parametrize("instance", ["a.b_0_0", "a.b_1_12", "a.b_0"])
def test_triton_says_that_a_process_has_ended(instance: str):
    message = DEAD.replace("a.b_0_0", instance)
    assert fault_of(message) is Fault.DEAD


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
        DEAD.replace("a.b_0_0", "gang_0"),
        "unknown model size 7",
        "Model 'a.b' is not ready",
    ],
)
def test_messages_of_another_model_or_of_the_variant_itself_do_not_count(message: str):
    assert fault_of(message) is Fault.ERROR


def test_the_names_of_instance_groups_are_those_of_the_configuration(tmp_path: Path):
    for name, config in (
        ("a", 'instance_group [{ name: "gang" }, { kind: KIND_CPU }]'),
        ("b", "max_batch_size: 1"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.pbtxt").write_text(config)
    errors = ErrorClassifier.of(["a", "b"], tmp_path)
    faults = {
        instance: errors.classify("a", f"Stub process '{instance}' is not healthy.", "INTERNAL").fault
        for instance in ("gang_0", "a_1_0", "b_0")
    }
    assert faults == {"gang_0": Fault.DEAD, "a_1_0": Fault.DEAD, "b_0": Fault.ERROR}
    for instance, fault in (("b_0", Fault.DEAD), ("gang_0", Fault.ERROR)):
        message = f"Stub process '{instance}' is not healthy."
        assert errors.classify("b", message, "INTERNAL") == (fault, message, "INTERNAL")


@pytest.mark.parametrize(
    ("message", "code", "fault", "status"),
    [
        ("no negatives", "INVALID_ARG", Fault.REJECTED, "INVALID_ARGUMENT"),
        ("INVALID_ARG: no negatives", "INTERNAL", Fault.REJECTED, "INVALID_ARGUMENT"),
        ("UNAVAILABLE: busy", "INVALID_ARG", Fault.REJECTED, "INVALID_ARGUMENT"),
        ("busy", "UNAVAILABLE", Fault.ERROR, "UNAVAILABLE"),
        ("UNAVAILABLE: busy", "INTERNAL", Fault.ERROR, "UNAVAILABLE"),
        ("UNSUPPORTED: no strings", "INTERNAL", Fault.UNSUPPORTED, "UNIMPLEMENTED"),
        ("no strings", "UNSUPPORTED", Fault.UNSUPPORTED, "UNIMPLEMENTED"),
        ("no such voice", "NOT_FOUND", Fault.UNSUPPORTED, "NOT_FOUND"),
        ("it has one", "ALREADY_EXISTS", Fault.UNSUPPORTED, "ALREADY_EXISTS"),
        ("given up", "CANCELLED", Fault.ERROR, "CANCELLED"),
        ("who knows", "UNKNOWN", Fault.ERROR, "UNKNOWN"),
        ("out of memory", "INTERNAL", Fault.ERROR, "INTERNAL"),
        ("INVALID_ARG", "INTERNAL", Fault.ERROR, "INTERNAL"),
        ("it said INVALID_ARG: no", "INTERNAL", Fault.ERROR, "INTERNAL"),
    ],
)
def test_the_status_is_that_of_the_code_else_of_the_code_that_the_message_states(
    message: str, code: str, fault: Fault, status: str
):
    assert ErrorClassifier({"a": []}).classify("a", message, code) == (fault, message, status)
