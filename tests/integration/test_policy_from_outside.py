"""A policy of another package on a real server, and the effect of a defect in it."""

from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.installed_package import install
from tests.integration.client import Client, decision_of, items, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

FORGETFUL = """
from router_backend.core.policies.base import Policy


class Forgetful(Policy):
    name = "forgetful"

    def score(self, candidates, request):
        for place, candidate in enumerate(candidates):
            candidate.cost = -place

    def observe(self, execution):
        raise RuntimeError("where did I put it")
"""

QUITTER = """
from router_backend.core.policies.base import Policy
from router_backend.errors import RouterError


class Quitter(Policy):
    name = "quitter"

    def score(self, candidates, request):
        if request.context.batch_size == 2:
            raise SystemExit("nothing to do")
        if request.context.batch_size == 3:
            raise RuntimeError("no text: \\ud800\\0")
        if request.context.batch_size == 4:
            raise RouterError("no text: \\ud800\\0")

    def observe(self, execution):
        raise SystemExit("nothing to learn")
"""


@pytest.fixture(scope="module")
def server(
    triton_server: Callable[..., EmbeddedTriton], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedTriton]:
    site = tmp_path_factory.mktemp("site")
    install(site, "forgetful", {"forgetful": "forgetful:Forgetful"}, forgetful=FORGETFUL)
    install(site, "quitter", {"quitter": "quitter:Quitter"}, quitter=QUITTER)
    repository = ModelRepository(tmp_path_factory.mktemp("outside"))
    repository.router("quits", "double", policy="quitter", warmup_batch_sizes="none")
    repository.variant("double", "scaling", factor=2)
    repository.variant("triple", "scaling", factor=3)
    repository.variant("no_paper", "refusing", refuses="everything", message="out of paper")
    repository.variant("no_ink", "refusing", refuses="everything", message="out of ink")
    repository.router("outside", "double, triple", policy="forgetful", warmup_batch_sizes="none")
    repository.router("broken", "no_paper, no_ink", policy="forgetful", warmup_batch_sizes="none")
    repository.router("warm", "double, triple", policy="forgetful")
    with pytest.MonkeyPatch.context() as patch:
        # The processes of models ignore PYTHONPATH; they find installed packages and their working directory.
        patch.chdir(site)
        patch.setenv("PYTHONPATH", str(site))  # which the native host follows
        yield triton_server(repository.folder)


def test_it_chooses_and_a_defect_in_its_learning_is_logged_and_fails_no_request(
    server: EmbeddedTriton,
) -> None:
    with closing(Client(server)) as client:
        for value in range(5):
            np.testing.assert_array_equal(client.output("outside", items(value)), items(3 * value))
    until(lambda: server.log_text().count("RuntimeError: where did I put it") >= 5)


def test_a_defect_in_what_it_learns_costs_no_client_the_variants_messages(server: EmbeddedTriton) -> None:
    with closing(Client(server)) as client:
        refusal = client.refusal("broken", items(1))
    assert "out of paper" in refusal.message
    assert "out of ink" in refusal.message


def test_a_defect_in_what_it_learns_costs_no_dry_run(server: EmbeddedTriton) -> None:
    with closing(Client(server)) as client:
        answer = client.ask("outside", items(1), parameters={"router_dry_run": True})
    assert decision_of(answer)["policy"] == "forgetful"


def test_a_defect_in_what_it_learns_ends_no_thread(server: EmbeddedTriton) -> None:
    with closing(Client(server)) as client:
        until(lambda: client.executions("triple") > 0 and client.executions("double") > 0)
    assert "Exception in thread" not in server.log_text()


@pytest.mark.parametrize(
    ("batch_size", "refusal", "logged"),
    [
        (2, "defect in the router: SystemExit('nothing to do'); Triton's log", "SystemExit: nothing to do"),
        (
            3,
            "defect in the router: RuntimeError('no text: \\ud800\\x00'); Triton's log",
            "RuntimeError: no text: ",
        ),
        (4, "no text: \\ud800\\x00", ""),
    ],
)
def test_a_policy_that_quits_or_says_what_is_no_text_is_logged_and_answered(
    server: EmbeddedTriton, batch_size: int, refusal: str, logged: str
) -> None:
    with closing(Client(server)) as client:
        found = client.refusal("quits", items(1, batch_size))
    assert found.status == "INTERNAL"
    assert found.message.startswith(refusal)
    until(lambda: logged in server.log_text())


def test_a_policy_that_quits_while_it_learns_is_logged(server: EmbeddedTriton) -> None:
    with closing(Client(server)) as client:
        np.testing.assert_array_equal(client.output("quits", items(1)), items(2))
    until(lambda: "SystemExit: nothing to learn" in server.log_text())
