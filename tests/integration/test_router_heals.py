"""A variant whose process dies is loaded again, where Triton lets models be loaded by request."""

from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, items, reasons_out, until
from tests.integration.model_repository import ModelRepository
from tests.integration.test_metrics import Scrape

pytestmark = pytest.mark.integration

MAGIC = 666  # kills the process of a `mortal`
EXPLICIT = {"model_control_mode": "explicit", "extra_arguments": ["--load-model=*"]}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> ModelRepository:
    repository = ModelRepository(tmp_path_factory.mktemp("heals"))
    repository.variant("steady", "scaling", delay_ms=50)
    for router, parameters in (
        ("healed", {}),
        ("retried", {}),
        ("unloaded", {}),
        ("left", {"load_dead_variants": "false"}),
    ):
        repository.variant(f"{router}_mortal", "mortal")
        repository.router(router, f"{router}_mortal, steady", **parameters)
    return repository


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository) -> EmbeddedTriton:
    return triton_server(repository.folder, **EXPLICIT)


def kill(client: Client, router: str) -> None:
    """Kill the process of a router's mortal variant by a request, which another variant answers."""
    mortal = f"{router}_mortal"
    until(lambda: all(client.decision(router, items(1))["variant"] == mortal for _ in range(5)))
    np.testing.assert_array_equal(client.output(router, items(MAGIC)), items(MAGIC))


def test_a_variant_that_dies_serves_again_soon_and_this_is_counted(
    client: Client, server: EmbeddedTriton
) -> None:
    kill(client, "healed")
    until(lambda: client.decision("healed", items(1))["variant"] == "healed_mortal")
    labels = {"model": "healed", "variant": "healed_mortal", "outcome": "succeeded"}
    until(lambda: Scrape(server).total("model_router_reloads_total", **labels) == 1.0)
    assert "the process of 'healed_mortal' has died; it is loaded again" in server.log_text()
    assert "'healed_mortal' was loaded again in" in server.log_text()


def test_a_load_that_fails_is_tried_again_and_the_log_says_why(
    client: Client, server: EmbeddedTriton, repository: ModelRepository
) -> None:
    broken = repository.folder / "retried_mortal" / "broken"
    broken.touch()
    kill(client, "retried")
    failed = "'retried_mortal' could not be loaded again: load failed for model 'retried_mortal'"
    until(lambda: failed in server.log_text())
    assert "RuntimeError: no memory" in server.log_text().partition(failed)[2].partition("\n")[0]
    broken.unlink()
    until(lambda: client.decision("retried", items(1))["variant"] == "retried_mortal")


def test_what_the_operator_unloads_stays_unloaded(client: Client, server: EmbeddedTriton) -> None:
    kill(client, "unloaded")
    until(lambda: "'unloaded_mortal' was loaded again in" in server.log_text())
    kill(client, "unloaded")  # the next load is 5 s later
    dead = {"unloaded_mortal": "breaker open: its process has ended, load the model again"}
    until(lambda: reasons_out(client.decision("unloaded", items(1))) == dead)
    client.grpc.unload_model("unloaded_mortal")
    until(lambda: "'unloaded_mortal' was unloaded after its death, and stays so" in server.log_text())
    assert server.log_text().count("'unloaded_mortal' was loaded again in") == 1
    assert not client.grpc.is_model_ready("unloaded_mortal")


def test_a_router_that_must_not_leaves_it(client: Client, server: EmbeddedTriton) -> None:
    kill(client, "left")
    dead = {"left_mortal": "breaker open: its process has ended, load the model again"}
    until(lambda: reasons_out(client.decision("left", items(1))) == dead)
    client.grpc.unload_model("left_mortal")
    client.grpc.load_model("left_mortal")
    until(lambda: client.decision("left", items(1))["variant"] == "left_mortal")
    assert "the process of 'left_mortal' has died" not in server.log_text()


def test_a_server_ends_while_a_variant_is_loaded_again(
    triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository
) -> None:
    server = triton_server(
        repository.folder,
        model_control_mode="explicit",
        extra_arguments=[
            "--load-model=*",
            "--exit-timeout-secs=5",
        ],  # a dead process takes it all
    )
    with closing(Client(server)) as client:
        kill(client, "healed")
        until(lambda: "it is loaded again" in server.log_text())
    server.stop()
    assert "Signal (15)" in server.log_text()
    assert server.log_text().count("Signal (") == 1


def test_where_models_cannot_be_loaded_by_request_the_log_says_so_once(
    triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository
) -> None:
    server = triton_server(repository.folder)
    with closing(Client(server)) as client:
        kill(client, "healed")
        until(lambda: "'healed_mortal' has died, and is not loaded again: " in server.log_text())
        dead = {"healed_mortal": "breaker open: its process has ended, load the model again"}
        until(lambda: reasons_out(client.decision("healed", items(1))) == dead)
    assert server.log_text().count("is not loaded again") == 1
