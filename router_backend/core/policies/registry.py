"""The policies by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.base import Policy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.plugins import find_plugins, load_plugin
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.policies.throughput import ThroughputOptimizedPolicy
from router_backend.errors import ConfigurationError, nearest

_POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        LatencyOptimizedPolicy,
        ThroughputOptimizedPolicy,
        PowerEfficientPolicy,
        AdaptiveRoutingPolicy,
    )
}

POLICIES: Mapping[str, type[Policy]] = MappingProxyType(_POLICIES)
"""The registered policies by name, in the order of registration."""


def register_policies(*policies: type[Policy]) -> None:
    """Make policies from outside `core` available by name; a name that is registered again is replaced."""
    _POLICIES.update({policy.name: policy for policy in policies})


NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


PolicySource = str | Callable[[], Policy]
"""What policies are created from: a name, a subclass of `Policy`, or a factory of policies."""


def new_policy(source: PolicySource, parameters: Mapping[str, str] = NO_PARAMETERS) -> Policy:
    """Return a new policy, for one model.

    Args:
        source: a name as `create_policy` takes it, a subclass of `Policy`, or a factory of policies.
        parameters: the policy's settings as strings, by name; none for a factory.

    Raises:
        ConfigurationError: as `create_policy`; or the source is a policy object, whose state all models would
            share, or creates no policy.
    """
    if isinstance(source, str):
        return create_policy(source, parameters)
    if isinstance(source, type) and issubclass(source, Policy):
        return source.create("", parameters)
    if isinstance(source, Policy):
        kind = type(source).__name__
        raise ConfigurationError(
            expected="a policy name, a Policy subclass or a factory, since each model needs its own policy",
            found=f"an object of {kind}",
            fix=f"pass the class {kind}",
        )
    if parameters:
        raise ConfigurationError(
            expected="no parameters beside a factory",
            found=", ".join(map(repr, parameters)),
            fix="pass them to the policy inside the factory",
        )
    made = source() if callable(source) else source
    if not isinstance(made, Policy):
        raise ConfigurationError(expected="a policy name, a Policy subclass or a factory", found=f"{made!r}")
    return made


def create_policy(name: str, parameters: Mapping[str, str] = NO_PARAMETERS) -> Policy:
    """Return a new policy of that name, for one model.

    Args:
        name: a name of the registry, or of a policy that another package provides; what follows a colon is
            the policy's argument, as in `static:gpu`.
        parameters: the policy's settings as strings, by name.

    Raises:
        ConfigurationError: no policy has that name, it cannot be loaded, or it does not accept the argument
            or a parameter.
    """
    kind, _, argument = name.partition(":")
    return _kind(kind, name).create(argument, parameters)


def _kind(kind: str, name: str) -> type[Policy]:
    if kind in POLICIES:
        return POLICIES[kind]
    plugins = find_plugins()
    if kind in plugins:
        return load_plugin(plugins[kind])
    known = [*POLICIES, *plugins]
    raise ConfigurationError(
        expected=f"one of the policies {', '.join(known)}", found=f"'{name}'", hint=nearest(kind, known)
    )
