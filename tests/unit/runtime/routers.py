"""Router models for the tests of what hosts share."""

from pathlib import Path

from router_backend.config.load import RouterSetup, read_router_setup
from router_backend.core.router import ModelRouter

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
    for name in "ab":
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(VARIANT % (max_batch_size, data_type, dims))
    texts = {"variants": "a=cpu, b=cpu", **parameters}
    values = {key: {"string_value": text} for key, text in texts.items()}
    setup = read_router_setup({"name": "m", "parameters": values}, repository)
    router = ModelRouter(setup.settings)
    router.register_model("m", variants=setup.variants)
    return setup, router
