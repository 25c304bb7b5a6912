"""What a request asks of the router itself: its parameters that start with `router_`."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType
from msgspec import field as named

from router_backend.config.schema import Devices, Megabytes, Milliseconds, PolicyName, Text
from router_backend.core.records.request import OptimizationGoal
from router_backend.errors import ConfigurationError, InvalidRequestError, Problem, nearest
from router_backend.typed_load import Section, given, load_texts

PREFIX = "router_"
WHERE = "request parameters"
ParameterValue = str | int | float | bool


Watts = Annotated[float, Meta(gt=0, extra={"unit": "watts"})]


class RequestParameters(Section, frozen=True, kw_only=True, rename=lambda name: f"router_{name}"):
    """The parameters of a request that are for the router.

    Args:
        max_latency_ms: the deadline of the whole request, from its arrival.
        refuse_late: reject the request at once, with UNAVAILABLE, if no variant can answer it in time.
        optimization_goal: the objective to optimize for.
        policy: the policy that chooses, before any goal.
        allowed_variants: only these may serve it, with commas between.
        allowed_devices: only variants on these devices may serve it, with commas between.
        max_memory_mb: variants that are expected to take more memory may not serve it.
        max_power_w: variants that are expected to draw more power may not serve it.
        priority: above 0 it need not spare later requests, below 0 it should spare them more.
        sticky_key: what experiments assign an arm by; else the correlation id, else the request id.
        explain: the output `routing_decision` holds the decision.
        dry_run: report the decision without running the model; there are no other outputs.
        report: report the state of devices and experiments as JSON in `routing_decision`, and nothing else.
    """

    max_latency_ms: Milliseconds | UnsetType = UNSET
    refuse_late: bool | UnsetType = UNSET
    optimization_goal: OptimizationGoal | UnsetType = named(name="router_goal", default=UNSET)
    policy: PolicyName | UnsetType = UNSET
    allowed_variants: Annotated[frozenset[Text], Meta(min_length=1)] | UnsetType = UNSET
    allowed_devices: Devices | UnsetType = UNSET
    max_memory_mb: Megabytes | UnsetType = UNSET
    max_power_w: Watts | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    sticky_key: Text | UnsetType = UNSET
    explain: bool | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    report: bool | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """The router's share of a request's parameters, and the rest.

    Args:
        explain: report the decision.
        dry_run: decide, but do not run the model.
        report: report the state of the router, and do nothing else.
        max_latency_ms: the deadline, from the request's arrival; `None`: the model's own, if it has one.
        sticky_key: what experiments assign an arm by; empty: the correlation id, else the request id.
        context: the other parameters for the router, by field of `RoutingContext`.
        forwarded: the parameters that are passed on to the variant.
    """

    explain: bool = False
    dry_run: bool = False
    report: bool = False
    max_latency_ms: float | None = None
    sticky_key: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    forwarded: dict[str, ParameterValue] = field(default_factory=dict)

    @property
    def explained_by(self) -> str | None:
        """The parameter that asks for the decision or the report, `None` if there is none."""
        if self.report:
            return "router_report"
        if self.dry_run:
            return "router_dry_run"
        return "router_explain" if self.explain else None


NOTHING = ("{}", "")
NO_OPTIONS = RequestOptions()
OF_OPTIONS = frozenset(RequestOptions.__dataclass_fields__)


def read_options(parameters_json: str, variants: Collection[str]) -> RequestOptions:
    """Split a request's parameters, a JSON object or nothing.

    Args:
        parameters_json: as Triton passes them.
        variants: the names of the model's variants.

    Raises:
        InvalidRequestError: an unknown `router_` parameter, an invalid value, or a parameter for the
            variant that cannot be passed on.
    """
    if parameters_json in NOTHING:
        return NO_OPTIONS
    own: dict[str, ParameterValue] = {}
    forwarded: dict[str, ParameterValue] = {}
    for key, value in json.loads(parameters_json).items():
        (own if key.startswith(PREFIX) else forwarded)[key] = value
    _check_forwarded(forwarded)
    said = _read(own)
    _check_variants(said.get("allowed_variants", ()), variants)
    options = {name: value for name, value in said.items() if name in OF_OPTIONS}
    context = {name: value for name, value in said.items() if name not in OF_OPTIONS}
    return RequestOptions(**options, context=context, forwarded=forwarded)


def _read(own: dict[str, ParameterValue]) -> dict[str, Any]:
    try:
        return given(load_texts(RequestParameters, own, WHERE)) if own else {}
    except ConfigurationError as error:
        raise InvalidRequestError(str(error)) from None


def _check_variants(allowed: Collection[str], variants: Collection[str]) -> None:
    for name in allowed:
        if name not in variants:
            raise _invalid(
                "router_allowed_variants",
                f"variants of the model, {', '.join(variants)}",
                f"'{name}'",
                nearest(name, variants),
            )


def _check_forwarded(parameters: dict[str, ParameterValue]) -> None:
    """Reject fractions: Triton cannot pass them from model to model."""
    for key, value in parameters.items():
        if isinstance(value, float):
            raise _invalid(
                key,
                "text, a whole number, true or false, as Triton passes on",
                f"{value}",
                fix="send it as text",
            )


def _invalid(key: str, expected: str, found: str, hint: str = "", fix: str = "") -> InvalidRequestError:
    problem = Problem(where=WHERE, path=key, expected=expected, found=found, hint=hint, fix=fix)
    return InvalidRequestError(str(problem))
