"""Checks a model repository: every router, its variants, and the files that they name."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from router_backend.config.load import RouterSetup, read_router_setup, routing_path
from router_backend.config.repository import CONFIG_FILE, ROUTER_BACKEND, read_model_config, variant_names
from router_backend.config.resolve import unmatched_patterns
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError, Problem, Problems
from router_backend.path_kind import FOLDER, NO_SUCH_FILE, REGULAR_FILE, path_kind
from router_tools.config_check.checked import Checked, Resolved
from router_tools.config_check.model_folder import RUNTIMES, check_model_folder, likely_backend
from router_tools.config_check.routing_file import overlaps, patterns_in
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

    @property
    def checked(self) -> list[str]:
        """The names of the routers and of their variants, of those that can be read."""
        names = {*self.routers, *(each for variants in self.routers.values() for each in variants)}
        return sorted(names & self.configs.keys())

    @property
    def followers(self) -> dict[Path, list[str]]:
        """The names of the routers that follow each routing file."""
        found: dict[Path, list[str]] = {}
        for name in self.routers:
            parameters = self.configs[name].parameters
            if "routing_config" in parameters:
                named = Path(parameters["routing_config"].string_value.strip())
                found.setdefault(routing_path(self.repository / name, named), []).append(name)
        return found

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
    for name in models.checked:
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
        tuple(_warnings(models, routers)),
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
    return config.backend == ROUTER_BACKEND or "variants" in config.parameters


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


def _warnings(models: _Models, routers: Sequence[RouterSetup]) -> Iterator[str]:
    yield from _unknown_backends(models)
    yield from _two_hosts(models)
    yield from _left_out(models, routers)
    yield from _trace_files(routers)
    yield from _profile_folders(routers)
    yield from _unused_patterns(models)
    files = [router.routing_file for router in routers if router.routing_file is not None]
    for path, config in {file.path: file.config for file in files}.items():
        yield from overlaps(path, config)


def _unknown_backends(models: _Models) -> Iterator[str]:
    """Yield backends with almost the name of a known one; the server may have any other."""
    for name in models.checked:
        backend = models.configs[name].backend
        likely = likely_backend(backend)
        if likely:
            yield (
                f"model '{name}', {CONFIG_FILE}: backend: expected one that the server has, found "
                f"'{backend}' (did you mean '{likely}'?); correct it, unless the server has such a backend"
            )


def _two_hosts(models: _Models) -> Iterator[str]:
    """Yield the routers for the Python host if others are not, which the order of loading decides."""
    python_host, _ = RUNTIMES
    by_host: dict[bool, list[str]] = {True: [], False: []}
    for name in models.routers:
        config = models.configs[name]
        if config.backend == ROUTER_BACKEND:
            by_host[getattr(config, "runtime", "") == python_host].append(name)
    if by_host[True] and by_host[False]:
        yield (
            f'the {_routers(by_host[True])} with runtime: "{python_host}" and the {_routers(by_host[False])} '
            "without it would be on different hosts: in Triton 24.10, the order in which they are loaded "
            "decides; write it in all of them or in none"
        )


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


def _profile_folders(routers: Iterable[RouterSetup]) -> Iterator[str]:
    """Yield folders for profiles that are not there; relative paths are known to the server alone."""
    for router in routers:
        path = router.parameters.profile_folder
        if path is not None and path.is_absolute() and path_kind(path) != FOLDER:
            yield (
                f"model '{router.name}', {CONFIG_FILE}: profile_folder: expected a folder, found "
                f"{path_kind(path)} at '{path}'; create it, unless the server runs on another machine: the "
                "router would keep nothing of what it learns"
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


def _unused_patterns(models: _Models) -> Iterator[str]:
    """Yield patterns of each routing file for none of the routers that follow it, right or wrong.

    A model that cannot be read may be such a router.
    """
    for path, names in models.followers.items():
        for pattern in unmatched_patterns(patterns_in(path), [*names, *models.broken]):
            yield f"{path}: the pattern '{pattern}' matches no router that follows it ({', '.join(names)})"


def _hints(models: _Models, routers: Iterable[RouterSetup]) -> Iterator[str]:
    """Yield variants on devices where the first request is slow, and which Triton does not warm up."""
    for router in routers:
        cold = [
            variant.name
            for variant in router.usable
            if variant.device is not Device.CPU
            and variant.name not in models.routers
            and not models.configs[variant.name].model_warmup
            and "url"
            not in models.configs[variant.name].parameters  # a remote one may be away while it loads
        ]
        if cold:
            yield (
                f"model '{router.name}': the first request may be slow at {', '.join(cold)}; a model_warmup "
                f"in the variant's {CONFIG_FILE} has Triton send it before the variant is ready"
            )
