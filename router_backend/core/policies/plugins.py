"""Policies that other packages provide, found by their entry points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from typing import TypeGuard

from router_backend.core.policies.base import Policy
from router_backend.errors import ConfigurationError

GROUP = "triton_model_router.policies"


@cache
def find_plugins() -> Mapping[str, EntryPoint]:
    """Return the entry points of the group by name; installed packages are searched once.

    Raises:
        ConfigurationError: two packages provide a policy of the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found and found[point.name].value != point.value:
            raise ConfigurationError(
                where=f"policy '{point.name}'",
                expected="one package that provides it",
                found=f"'{found[point.name].value}' and '{point.value}'",
                fix="uninstall one of them",
            )
        found[point.name] = point
    return found


def load_plugin(point: EntryPoint) -> type[Policy]:
    """Return the policy's class.

    Raises:
        ConfigurationError: it cannot be imported, or is not a policy of that name.
    """
    try:
        loaded = point.load()
    except (ImportError, AttributeError, SyntaxError, NameError) as error:
        raise ConfigurationError(
            where=f"policy '{point.name}'",
            expected=f"to import it from '{point.value}'",
            found=str(error),
            fix="fix the package that provides it, or uninstall it",
        ) from error
    if not _is_policy(loaded, point.name):
        raise ConfigurationError(
            where=f"policy '{point.name}'",
            expected=f"a Policy subclass of that name at '{point.value}'",
            found=f"{loaded!r}",
            fix="fix the package that provides it",
        )
    return loaded


def _is_policy(loaded: object, name: str) -> TypeGuard[type[Policy]]:
    """Return whether it is a concrete policy of this name."""
    return (
        isinstance(loaded, type)
        and issubclass(loaded, Policy)
        and not isabstract(loaded)
        and getattr(loaded, "name", None) == name
    )
