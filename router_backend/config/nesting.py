"""Models that call models: routers behind routers are fine, as long as none leads back to itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from router_backend.config.model_config import CONFIG_FILE, read_model_config
from router_backend.errors import ConfigurationError


def is_model_name(name: str) -> bool:
    """Whether a name can be that of a folder of the repository, rather than a path."""
    return name not in ("", ".", "..") and "/" not in name


def check_no_cycle(model_name: str, variants: Sequence[str], repository: Path) -> None:
    """Refuse a router that its own variants would call, in whatever number of steps.

    A request that goes round has no end, and takes a thread of each router on every round.

    Args:
        model_name: the router model.
        variants: the names of its variants.
        repository: the folder that holds the models.

    Raises:
        ConfigurationError: there is such a way back; the text tells it.
    """
    ways: list[tuple[str, ...]] = [(variant,) for variant in variants]
    seen = set(variants)
    while ways:
        way = ways.pop(0)
        called = _called_by(repository / way[-1])
        if model_name in called:
            raise ConfigurationError(
                f"model '{model_name}', config.pbtxt, parameter 'variants': expected models that do not call "
                f"'{model_name}' in turn, found {' -> '.join((model_name, *way, model_name))}: take one of "
                f"them out of the circle"
            )
        ways += [(*way, name) for name in called if name not in seen]
        seen.update(called)


def _called_by(folder: Path) -> list[str]:
    """The models that a model is configured to call: a router its variants, an ensemble its steps.

    One that is not there, or not readable, calls none: it cannot be loaded either.
    """
    if not is_model_name(folder.name) or not (folder / CONFIG_FILE).is_file():
        return []
    try:
        config = read_model_config(folder)
    except ConfigurationError:
        return []
    return [*_variants(config), *(step.model_name for step in config.ensemble_scheduling.step)]


def _variants(config: Any) -> list[str]:
    """What stands in the parameter `variants` of a router in either form."""
    if config.backend not in ("router_backend", "python") or "variants" not in config.parameters:
        return []
    entries = config.parameters["variants"].string_value.split(",")
    return [entry.partition("=")[0].strip() for entry in entries]
