"""What a variant must answer, and what is said of an answer that is wrong."""

from pathlib import Path

import pytest

from router_backend.config.load import RouterSetup
from router_backend.config.repository import Signature, TensorSpec
from router_backend.config.schema import RouterParameters, VariantEntry
from router_backend.core.records.outcome import Fault
from router_backend.runtime.expected_answer import Answered, ExpectedAnswer

OUTPUTS = (TensorSpec("scores", "TYPE_FP32", (4,)), TensorSpec("label", "TYPE_STRING", (-1,)))
WANTED = ["scores", "label"]
SCORES: Answered = ("scores", "FP32", [3, 4])
LABEL: Answered = ("label", "BYTES", [3, 1])


def expected(max_batch_size: int = 8, optional: str = "") -> ExpectedAnswer:
    parameters = RouterParameters(variants=(VariantEntry("a"),), optional_outputs=frozenset(optional.split()))
    return ExpectedAnswer(
        RouterSetup("m", Path(), parameters, (), Signature((), OUTPUTS, max_batch_size), None)
    )


def said_of(answer: list[Answered], wanted: list[str] = WANTED, **settings: object) -> str | None:
    """Return what is said of the answer to a batch of 3; `None` if it is right."""
    failure = expected(**settings).failure_of(answer, wanted, 3)
    if failure is None:
        return None
    assert (failure.fault, failure.status) == (Fault.WRONG_ANSWER, "INTERNAL")
    return failure.message.removeprefix("wrong answer: ")


@pytest.mark.parametrize("answer", [[SCORES, LABEL], [LABEL, SCORES], [SCORES, ("more", "FP64", []), LABEL]])
def test_an_answer_with_all_outputs_is_right_in_any_order_and_with_more(answer: list[Answered]):
    assert said_of(answer) is None


MISSING = "expected one, as it is not among the router's `optional_outputs`, found none"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], f"output 'scores': {MISSING}"),
        ([SCORES], f"output 'label': {MISSING}"),
        ([SCORES, ("label", "FP32", [3, 1])], "output 'label': expected BYTES, found FP32"),
        ([("scores", "FP32", [2, 4]), LABEL], "output 'scores': expected a batch of 3, found 2"),
        ([SCORES, LABEL, SCORES], "output 'scores': expected it once, found it twice"),
        ([("scores", "FP32", []), LABEL], "output 'scores': expected a batch of 3, found no dimension"),
    ],
)
def test_a_wrong_answer_is_described(answer: list[Answered], said: str):
    assert said_of(answer) == said


def test_a_type_that_is_not_known_is_not_compared():
    assert said_of([("scores", "", [3, 4]), LABEL]) is None


def test_dimensions_behind_the_batch_are_not_compared():
    assert said_of([("scores", "FP32", [3, 2, 2]), LABEL]) is None


def test_without_batches_no_dimension_is_compared():
    assert said_of([("scores", "FP32", [9]), ("label", "BYTES", [])], max_batch_size=0) is None


def test_what_was_not_asked_for_may_be_missing():
    assert said_of([SCORES], ["scores"]) is None


def test_an_optional_output_may_be_missing_but_not_wrong():
    assert said_of([SCORES], optional="label") is None
    assert said_of([SCORES, ("label", "FP32", [3, 1])], optional="label") is not None


def test_an_output_that_is_not_declared_is_not_expected():
    assert said_of([SCORES, LABEL], [*WANTED, "routing_decision"]) is None


def test_the_native_host_gets_name_type_and_whether_it_is_optional():
    assert expected(optional="label").outputs == (("scores", "FP32", False), ("label", "BYTES", True))
