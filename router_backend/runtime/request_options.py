"""What a request asks of the router itself: its parameters that start with `router_`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Annotated, Any

from msgspec import UNSET, DecodeError, Meta, Struct, UnsetType, ValidationError, convert, field
from msgspec.json import Decoder

from router_backend.config.schema import Devices, Megabytes, Milliseconds, PolicyName, Text
from router_backend.core.records.request import OptimizationGoal, RoutingContext
from router_backend.errors import ConfigurationError, InvalidRequestError, Problem, nearest
from router_backend.typed_load import Section, fields_of, load_texts, parse_text

PREFIX = "router_"
WHERE = "request parameters"
ParameterValue = str | int | float | bool
DECODER = Decoder(dict[str, ParameterValue])

Watts = Annotated[float, Meta(gt=0, extra={"unit": "watts"})]


class RequestParameters(Section, frozen=True, kw_only=True, rename=lambda name: f"router_{name}"):
    """The parameters of a request that are for the router.

    Args:
        max_latency_ms: the deadline of the whole request, from its arrival.
        refuse_late: reject the request at once, with UNAVAILABLE, if no variant can answer it by its
            deadline; no effect without one.
        optimization_goal: the objective to optimize for.
        policy: the policy that chooses, before any goal.
        allowed_variants: only these may serve it, with commas between.
        allowed_devices: only variants on these devices may serve it, with commas between.
        max_memory_mb: variants that are expected to take more memory may not serve it; unknown ones may.
        max_power_w: variants where its share of the power is expected to be higher may not serve it.
        priority: each step above 0 halves how much it spares later requests, each below 0 doubles it, from
            -10 to 10.
        hedge: another variant may get it as well if it takes longer than usual; the first answer counts.
        sticky_key: what experiments assign an arm by; else the correlation id, else the request id.
        explain: the output `routing_decision` holds the decision.
        dry_run: report the decision without running the model; there are no other outputs.
        report: report the state of devices and experiments as JSON in `routing_decision`, and nothing else.
    """

    max_latency_ms: Milliseconds | UnsetType = UNSET
    refuse_late: bool | UnsetType = UNSET
    optimization_goal: OptimizationGoal | UnsetType = field(name="router_goal", default=UNSET)
    policy: PolicyName | UnsetType = UNSET
    allowed_variants: Annotated[frozenset[Text], Meta(min_length=1)] | UnsetType = UNSET
    allowed_devices: Devices | UnsetType = UNSET
    max_memory_mb: Megabytes | UnsetType = UNSET
    max_power_w: Watts | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    hedge: bool | UnsetType = UNSET
    sticky_key: Text | UnsetType = UNSET
    explain: bool | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    report: bool | UnsetType = UNSET


class RequestOptions(Struct, frozen=True, kw_only=True):
    """The router's share of a request's parameters, as `RequestParameters` describes them, and the rest.

    Without `max_latency_ms`, the model's own deadline applies, if it has one. `context` has the other
    parameters for the router, by field of `RoutingContext`, and `forwarded` those for the variant.
    """

    explain: bool = False
    dry_run: bool = False
    report: bool = False
    max_latency_ms: float | None = None
    sticky_key: str = ""
    context: dict[str, Any] = {}
    forwarded: dict[str, ParameterValue] = {}

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
FIELDS = {key: (each.name, each.type) for key, each in fields_of(RequestParameters).items()}
Decoder(RequestParameters)  # prepares it before threads use it: msgspec crashes if they do so at once (0.22)
OF_OPTIONS = frozenset(RequestOptions.__struct_fields__)


def read_options(parameters_json: str, variants: Collection[str]) -> RequestOptions:
    """Split a request's parameters as Triton's Python backend passes them, a JSON object or nothing.

    Raises:
        InvalidRequestError: an unknown `router_` parameter, or an invalid value.
    """
    if parameters_json in NOTHING:
        return NO_OPTIONS
    parameters, is_strict = _decode(parameters_json)
    return split_parameters(parameters, variants, is_strict=is_strict)


def split_parameters(
    parameters: Mapping[str, ParameterValue], variants: Collection[str], *, is_strict: bool
) -> RequestOptions:
    """Split a request's parameters into the router's and the variant's.

    `is_strict` says that they are valid JSON: no NaN, no infinity, only whole characters.

    Raises:
        InvalidRequestError: an unknown `router_` parameter, or an invalid value.
    """
    own: dict[str, ParameterValue] = {}
    forwarded: dict[str, ParameterValue] = {}
    for key, value in parameters.items():
        if key.startswith(PREFIX):
            own[key] = value
        else:  # Triton passes no fractions from model to model
            forwarded[key] = str(value) if isinstance(value, float) else value
    if not own:
        return RequestOptions(forwarded=forwarded)
    said = _read(own, is_strict)
    options: dict[str, Any] = {}
    context: dict[str, Any] = {}
    for key in own:
        name, _ = FIELDS[key]
        (options if name in OF_OPTIONS else context)[name] = getattr(said, name)
    _check_variants(context.get("allowed_variants", ()), variants)
    return RequestOptions(**options, context=context, forwarded=forwarded)


def context_of(batch_size: int, elements: int, options: RequestOptions, unit: str = "") -> RoutingContext:
    """Return what is known about a client's request.

    Args:
        batch_size: the number of items.
        elements: the total number of elements of its inputs.
        options: what it asks of the router.
        unit: what experiments assign an arm by, unless it states that itself.
    """
    if options is NO_OPTIONS and not unit:
        return RoutingContext(batch_size, elements)
    context = RoutingContext(batch_size, elements, options.max_latency_ms)
    context.unit = options.sticky_key or unit
    context.dry_run = options.dry_run
    return replace(context, **options.context) if options.context else context


def _decode(parameters_json: str) -> tuple[dict[str, ParameterValue], bool]:
    """Return the parameters, and whether they are strict JSON: no NaN, no infinity, only whole characters.

    Raises:
        InvalidRequestError: they are not JSON, or a whole number has thousands of digits.
    """
    try:
        return DECODER.decode(parameters_json), True
    except DecodeError:
        pass
    try:
        return json.loads(parameters_json), False
    except (ValueError, RecursionError) as error:
        expected = "a JSON object with texts, numbers and switches"
        raise InvalidRequestError(str(Problem(where=WHERE, expected=expected, found=f"{error}"))) from None


def _read(own: dict[str, ParameterValue], is_strict: bool) -> RequestParameters:
    """Return the router's parameters; valid ones do not pay for the search for problems."""
    try:
        if is_strict:
            values = {key: parse_text(FIELDS[key][1], value) for key, value in own.items()}
            return convert(values, RequestParameters)
    except (KeyError, ValidationError):
        pass
    try:
        return load_texts(RequestParameters, own, WHERE)
    except ConfigurationError as error:
        raise InvalidRequestError(str(error)) from None


def _check_variants(allowed: Collection[str], variants: Collection[str]) -> None:
    for name in allowed:
        if name not in variants:
            expected = f"variants of the model, {', '.join(variants)}"
            raise _invalid("router_allowed_variants", expected, f"'{name}'", nearest(name, variants))


def _invalid(key: str, expected: str, found: str, hint: str) -> InvalidRequestError:
    return InvalidRequestError(str(Problem(where=WHERE, path=key, expected=expected, found=found, hint=hint)))
