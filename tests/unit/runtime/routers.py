"""Router models for the tests of what hosts share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from router_backend.config.completion import complete
from router_backend.config.load import RouterSetup, read_router_setup
from router_backend.core.router import ModelRouter
from router_backend.runtime.router_model import Log, RouterModel

VARIANT = """
max_batch_size: %d
input { name: "INPUT" data_type: %s dims: [ %s ] }
output { name: "OUTPUT" data_type: TYPE_FP32 dims: [ 4 ] }
"""


def router_of(
    repository: Path,
    data_type: str = "TYPE_FP32",
    dims: str = "4",
    max_batch_size: int = 8,
    **parameters: str,
) -> tuple[RouterSetup, ModelRouter]:
    """Return a router `m` of the variants `a` and `b`, with its setup."""
    _write_variants(repository, VARIANT % (max_batch_size, data_type, dims))
    setup = read_router_setup(_config(parameters), repository)
    router = ModelRouter(setup.settings)
    router.register_model("m", variants=setup.variants)
    return setup, router


@contextmanager
def router_model_of(repository: Path, logged: list[str], **parameters: str) -> Iterator[RouterModel]:
    """Yield the router model `m` of the variants `a` and `b`; at the end, its trace is written.

    Args:
        repository: an empty folder.
        logged: gets the warnings and errors.
        parameters: those of its config.pbtxt.
    """
    _write_variants(repository, VARIANT % (8, "TYPE_FP32", "4"))
    config = _config(parameters) | {"input": [], "output": [], "max_batch_size": 0}
    complete(config, read_router_setup(config, repository))
    model = RouterModel(config, repository / "m", "test", Log(lambda _: None, logged.append, logged.append))
    try:
        yield model
    finally:
        model.close()


def _write_variants(repository: Path, text: str) -> None:
    for name in "ab":
        (repository / name / "1").mkdir(parents=True, exist_ok=True)
        (repository / name / "config.pbtxt").write_text(text)


def _config(parameters: dict[str, str]) -> dict[str, Any]:
    texts = {"variants": "a=cpu, b=cpu", **parameters}
    return {"name": "m", "parameters": {key: {"string_value": text} for key, text in texts.items()}}
