"""Checks a model repository: every router, its variants, and the files that they name."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from router_backend.config.load import RouterSetup, read_router_setup
from router_backend.config.repository import CONFIG_FILE, read_model_config, variant_names
from router_backend.config.resolve import RoutingConfig
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError, Problem, Problems
from router_backend.path_kind import FOLDER, NO_SUCH_FILE, REGULAR_FILE, path_kind
from router_tools.config_check.checked import Checked, Resolved
from router_tools.config_check.model_folder import check_model_folder
from router_tools.config_check.routing_file import overlaps
from router_tools.errors import ToolError


@dataclass(frozen=True, slots=True)
class _Models:
    """The models of a repository.

    Args:
        repository: its folder.
        configs: by name, the `inference.ModelConfig` message of each whose config.pbtxt can be read.
        broken: by name, why the others cannot.
    """

    repository: Path
    configs: Mapping[str, Any]
    broken: Mapping[str, ConfigurationError]

    @property
    def routers(self) -> dict[str, list[str]]:
        """The names of the variants of each router model."""
        return {
            name: list(variant_names(config)) for name, config in self.configs.items() if _is_router(config)
        }

    def users(self, variant: str) -> list[str]:
        """Return the routers of a variant."""
        return [name for name, variants in self.routers.items() if variant in variants]


def check_repository(repository: Path) -> Checked:
    """Return what each router of a model repository resolves to, and everything that is wrong in any of them.

    Raises:
        ToolError: there is neither a router in it, nor a model that cannot be read.
    """
    models = _read_models(repository)
    if not models.routers and not models.broken:
        raise ToolError(f"{repository}: expected a model repository with a router, found none; name another")
    problems = Problems(_of_broken(models))
    for name in sorted({*models.routers, *(each for names in models.routers.values() for each in names)}):
        if name in models.configs:
            with problems.collect():
                check_model_folder(repository / name, models.configs[name])
    routers: list[RouterSetup] = []
    for name in models.routers:
        with problems.collect():
            routers.append(_read_router(models, name))
    found = [each for each in dict.fromkeys(problems) if each not in _plain(models)]
    return Checked(
        {router.name: Resolved.of_router(router) for router in routers},
        tuple(found),
        (*_left_out(models, routers), *_trace_files(routers), *_of_routing_files(routers)),
        tuple(_hints(models, routers)),
    )


def _read_models(repository: Path) -> _Models:
    configs: dict[str, Any] = {}
    broken: dict[str, ConfigurationError] = {}
    for config_file in sorted(repository.glob(f"*/{CONFIG_FILE}")):
        folder = config_file.parent
        try:
            configs[folder.name] = read_model_config(folder)
        except ConfigurationError as error:
            broken[folder.name] = error
    return _Models(repository, configs, broken)


def _is_router(config: Any) -> bool:
    return config.backend == "router_backend" or "variants" in config.parameters


def _read_router(models: _Models, name: str) -> RouterSetup:
    config: dict[str, Any] = json_format.MessageToDict(models.configs[name], preserving_proto_field_name=True)
    return read_router_setup({**config, "name": name}, models.repository)


def _of_broken(models: _Models) -> Iterator[Problem]:
    """Yield each config.pbtxt that cannot be read as one problem that names the routers of the model."""
    for name, error in models.broken.items():
        users = models.users(name)
        fix = f"correct it; the {_routers(users)} cannot use it until then" if users else "correct it"
        yield from (replace(problem, fix=fix) for problem in error.problems)


def _plain(models: _Models) -> list[Problem]:
    """Return the problems of files that cannot be read as every router with such a variant has them, too."""
    return [problem for error in models.broken.values() for problem in error.problems]


def _left_out(models: _Models, routers: Iterable[RouterSetup]) -> Iterator[str]:
    for router in routers:
        for variant, reason in router.left_out.items():
            if variant not in models.broken:  # which is reported as an error
                yield (
                    f"model '{router.name}': the variant '{variant}' is left out: {reason}; once it is "
                    f"corrected, unload and load '{router.name}', too"
                )


def _routers(names: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"routers {quoted}" if len(names) > 1 else f"router {quoted}"


def _trace_files(routers: Iterable[RouterSetup]) -> Iterator[str]:
    """Yield trace files that cannot be written here; relative paths are known to the server alone."""
    for router in routers:
        path = router.parameters.trace_file
        found = None if path is None or not path.is_absolute() else _unwritable(path)
        if found is not None:
            yield (
                f"model '{router.name}', {CONFIG_FILE}: trace_file: expected a file that can be written, "
                f"found {found}; correct it, unless the server runs on another machine or as another user: "
                "the router would not be loaded"
            )


def _unwritable(path: Path) -> str | None:
    """Return why a file cannot be written; `None` if it can."""
    kind, folder = path_kind(path), path_kind(path.parent)
    if kind == NO_SUCH_FILE and folder != FOLDER:
        return f"no folder '{path.parent}'"
    if kind not in (NO_SUCH_FILE, REGULAR_FILE):
        return f"{kind} at '{path}'"
    target = path if kind == REGULAR_FILE else path.parent
    return None if os.access(target, os.W_OK) else f"'{target}', which this user may not write"


def _of_routing_files(routers: Sequence[RouterSetup]) -> Iterator[str]:
    """Yield rules for none of the routers that follow their file, and overlaps of its experiments."""
    names: dict[Path, list[str]] = {}
    configs: dict[Path, RoutingConfig] = {}
    for router in routers:
        if router.routing_file is not None:
            names.setdefault(router.routing_file.path, []).append(router.name)
            configs[router.routing_file.path] = router.routing_file.config
    for path, config in configs.items():
        for pattern in config.unused_patterns(names[path]):
            followers = ", ".join(names[path])
            yield f"{path}: the pattern '{pattern}' matches no router that follows it ({followers})"
    for path, config in configs.items():
        yield from overlaps(path, config)


def _hints(models: _Models, routers: Iterable[RouterSetup]) -> Iterator[str]:
    """Yield variants on devices where the first request is slow, and which Triton does not warm up."""
    for router in routers:
        cold = [
            variant.name
            for variant in router.usable
            if variant.device is not Device.CPU and not models.configs[variant.name].model_warmup
        ]
        if cold:
            yield (
                f"model '{router.name}': the first request may be slow at {', '.join(cold)}; a model_warmup "
                f"in the variant's {CONFIG_FILE} has Triton send it before the variant is ready"
            )
