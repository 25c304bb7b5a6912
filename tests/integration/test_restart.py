"""A server that starts again routes by what its routers had learned."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from router_tools.embedded_triton import EmbeddedTriton
from tests.integration.client import Client, items, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

TWO_INSTANCES = "instance_group [{ kind: KIND_CPU count: 2 }]"


@pytest.fixture(scope="module")
def repository(host_folder: Path) -> ModelRepository:
    repository = ModelRepository(host_folder / "repository")
    repository.variant("fast", "scaling", factor=2)
    repository.variant("slow", "scaling", factor=3, delay_ms=30)
    profiles = host_folder / "profiles"
    profiles.mkdir()
    settings = {"profile_folder": str(profiles)}
    repository.router("once", "fast, slow", **settings)
    repository.router("twice", "fast, slow", TWO_INSTANCES, **settings)
    return repository


def test_a_server_that_starts_again_routes_by_what_its_routers_had_learned(
    triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository, host_folder: Path
) -> None:
    server = triton_server(repository.folder)
    with closing(Client(server)) as client:
        for model in ("once", "twice"):
            for variant in ("fast", "slow"):
                asked = {"router_allowed_variants": variant}
                for _ in range(16):
                    client.ask(model, items(1), parameters=asked)
                until(lambda: client.knows(model, variant))  # noqa: B023 - called at once
    server.stop()
    saved = sorted(path.name for path in (host_folder / "profiles").iterdir())
    assert {name.split(".")[0] for name in saved} == {"once", "twice"}
    assert all(name.endswith(".profiles") for name in saved)
    for model in ("once", "twice"):
        config = repository.folder / model / "config.pbtxt"
        config.write_text(
            config.read_text() + 'parameters { key: "warmup_batch_sizes" value { string_value: "none" } }'
        )
    server = triton_server(repository.folder)
    with closing(Client(server)) as client:
        for model in ("once", "twice"):
            decision = client.decision(model, items(1))
            assert decision["variant"] == "fast"
            assert decision["basis"] == "measured"
            assert client.knows(model, "slow")
        assert re.search(
            r"router 'once' starts with the profiles of fast, slow, saved \d+ s ago", server.log_text()
        )
