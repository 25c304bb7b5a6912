"""Checks a routing configuration without the models that it is for."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from router_backend.config.load import read_routing_bytes, read_routing_file
from router_backend.config.resolve import RoutingConfig
from router_backend.core.experiments.name_patterns import common_name
from router_backend.errors import ConfigurationError
from router_backend.path_kind import decode_text
from router_backend.typed_load import decode_json
from router_tools.config_check.checked import Checked, Resolved

PATTERN_LISTS = ("routing_rules", "experiments")
ANY_OTHER = "any other model"


def check_routing_file(path: Path) -> Checked:
    """Return what each rule of a routing configuration resolves to.

    Raises:
        ConfigurationError: everything that is wrong in it.
    """
    config = read_routing_file(path).config
    resolved: dict[str, Resolved] = {}
    for rule in config.rules:  # of two rules for the same pattern the first counts
        resolved.setdefault(rule.model_name_pattern, Resolved.of_rule(config, rule))
    return Checked(
        {**resolved, ANY_OTHER: Resolved.of_rule(config, None)},
        warnings=tuple(overlaps(path, config)),
        experiments=config.experiments,
    )


def patterns_in(path: Path) -> list[str]:
    """Return the patterns of model names in a routing file, which may be invalid otherwise."""
    try:
        document = decode_json(str(path), decode_text(str(path), read_routing_bytes(path)))
    except ConfigurationError:
        return []
    lists = [document.get(key) for key in PATTERN_LISTS] if isinstance(document, dict) else []
    entries = [entry for each in lists if isinstance(each, list) for entry in each]
    patterns = [entry.get("model_name_pattern") for entry in entries if isinstance(entry, dict)]
    return [pattern for pattern in patterns if isinstance(pattern, str)]


def overlaps(path: Path, config: RoutingConfig) -> Iterator[str]:
    """Yield experiments that may compete for the same requests, which depends on the models."""
    for one, other in combinations(config.experiments, 2):
        name = common_name(one.model_name_pattern, other.model_name_pattern)
        if one.overlaps(other) and name is not None:
            yield (
                f"{path}, at experiments: '{one.experiment_id}' for '{one.model_name_pattern}' and "
                f"'{other.experiment_id}' for '{other.model_name_pattern}' would compete for the requests of "
                f"a model that both match, such as '{name}', which is rejected; give each a unit_range of "
                "its own"
            )
