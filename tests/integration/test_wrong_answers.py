"""A variant that answers with other outputs than it declares has failed, and clients never see its answer."""

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from router_backend.core.choosing.filters import BREAKER_OPEN_WRONG
from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, items, output_names, reasons_out, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

NONE = "expected one, as it is not among the router's `optional_outputs`, found none"
MISTAKES = {
    "no outputs": rf"output '(OUTPUT|LABEL)': {NONE}",
    "no OUTPUT": f"output 'OUTPUT': {NONE}",
    "no LABEL": f"output 'LABEL': {NONE}",
    "OUTPUT of integers": "output 'OUTPUT': expected FP32, found INT32",
    "LABEL of numbers": "output 'LABEL': expected BYTES, found FP32",
    "OUTPUT with another item": "output 'OUTPUT': expected a batch of 3, found 6",
    "OUTPUT twice": "output 'OUTPUT': expected it once, found it twice",
    "LABEL without a batch": "output 'LABEL': expected a batch of 3, found no dimension",
}
OPEN = {"dims: 4": "dims: -1"}
UNBATCHED = {"max_batch_size: 8": "max_batch_size: 0", **OPEN}
VALUES = items(7, batch_size=3)
NO_WARMUP = {"warmup_batch_sizes": "none"}
TRACE = "trace.jsonl"


def short(mistake: str) -> str:
    return mistake.replace(" ", "_")


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], host_folder: Path) -> EmbeddedTriton:
    repository = ModelRepository(host_folder / "repository")
    repository.variant("right", "mistaken", mistake="none")
    for mistake in MISTAKES:
        name = short(mistake)
        repository.variant(name, "mistaken", mistake=mistake)
        repository.router(f"half_{name}", f"{name}, right", **NO_WARMUP)
        repository.router(f"only_{name}", name, **NO_WARMUP)
    repository.router("warmed", f"{short('no LABEL')}, right")
    repository.router(
        "traced", f"{short('no LABEL')}, right", trace_file=str(host_folder / TRACE), **NO_WARMUP
    )
    repository.router("lenient", short("no LABEL"), optional_outputs="LABEL", **NO_WARMUP)
    for name, changes in (("open", OPEN), ("unbatched", UNBATCHED)):
        repository.variant(f"{name}_right", "mistaken", changes, mistake="none")
        repository.variant(f"{name}_other", "mistaken", changes, mistake="OUTPUT with another item")
        repository.router(f"{name}_good", f"{name}_right", **NO_WARMUP)
        repository.router(f"{name}_bad", f"{name}_other", **NO_WARMUP)
    return triton_server(repository.folder)


def counted(server: EmbeddedTriton, **labels: str) -> float:
    """Return the number of faults with these labels."""
    with urllib.request.urlopen(server.metrics_url) as page:
        lines = page.read().decode().splitlines()
    found = [line for line in lines if line.startswith("model_router_faults_total{")]
    wanted = [line for line in found if all(f'{key}="{value}"' in line for key, value in labels.items())]
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)


@pytest.mark.parametrize("mistake", MISTAKES)
class TestEachMistake:
    def test_clients_get_the_answers_of_another_variant(self, client: Client, mistake: str) -> None:
        def left_out() -> bool:
            answer = client.ask(f"half_{short(mistake)}", VALUES)
            np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), VALUES)
            assert answer.as_numpy("LABEL").tolist() == [[b"label"]] * 3
            decision = client.decision(f"half_{short(mistake)}", VALUES)
            assert decision["variant"] == "right"
            return reasons_out(decision) == {short(mistake): BREAKER_OPEN_WRONG}

        until(left_out)

    def test_without_another_variant_the_client_is_told_what_was_wrong(
        self, client: Client, mistake: str
    ) -> None:
        refusal = client.refusal(f"only_{short(mistake)}", VALUES)
        assert refusal.status == "INTERNAL"
        assert re.search(f"{short(mistake)}: wrong answer: {MISTAKES[mistake]}", refusal.message), refusal


def test_a_wrong_answer_is_counted_traced_and_logged_once(
    server: EmbeddedTriton, client: Client, host_folder: Path
) -> None:
    variant = short("no LABEL")
    failed: list[Any] = []
    while len(failed) < 2:
        failed += client.decision("traced", VALUES)["failed"]
    assert failed[0]["variant"] == variant
    assert failed[0]["error"] == f"wrong answer: {MISTAKES['no LABEL']}"
    until(lambda: counted(server, model="traced", variant=variant, fault="wrong_answer") >= 2)
    until(lambda: '"wrong_answer"' in (host_folder / TRACE).read_text())
    lines = [json.loads(line) for line in (host_folder / TRACE).read_text().splitlines()]
    (first, *_) = (line["failures"] for line in lines if "failures" in line)
    assert first == [{"variant": variant, "fault": "wrong_answer"}]
    warning = f"router 'traced': variant '{variant}' has failed a request by a wrong answer: "
    assert server.log_text().count(warning) == 1


def test_outputs_that_the_client_does_not_ask_for_may_be_wrong(client: Client) -> None:
    wanted = [triton_grpc.InferRequestedOutput("OUTPUT")]
    for mistake in ("no LABEL", "LABEL of numbers"):
        answer = client.ask(f"only_{short(mistake)}", VALUES, outputs=wanted)
        assert output_names(answer) == ["OUTPUT"]
    assert (
        "'LABEL'"
        in client.refusal(
            f"only_{short('no LABEL')}", VALUES, outputs=[triton_grpc.InferRequestedOutput("LABEL")]
        ).message
    )


def test_an_optional_output_may_be_missing(client: Client) -> None:
    assert output_names(client.ask("lenient", VALUES)) == ["OUTPUT"]


def test_open_dimensions_may_be_anything_behind_the_batch(client: Client) -> None:
    values = np.ones((2, 9), np.float32)
    np.testing.assert_array_equal(client.output("open_good", values), values)
    assert "expected a batch of 2, found 4" in client.refusal("open_bad", values).message


def test_without_batches_any_length_is_right(client: Client) -> None:
    values = np.ones(9, np.float32)
    assert client.output("unbatched_good", values).shape == (9,)
    assert client.output("unbatched_bad", values).shape == (18,)


def test_a_measurement_with_a_wrong_answer_teaches_nothing(server: EmbeddedTriton, client: Client) -> None:
    until(lambda: client.knows("warmed", "right"))
    until(lambda: f"warm-up of '{short('no LABEL')}' ended: " in server.log_text())
    assert not client.knows("warmed", short("no LABEL"))
