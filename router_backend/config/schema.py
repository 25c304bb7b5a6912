"""Every setting of a router: its name, type, range, default and meaning.

The readers and their messages, `routing.schema.json` and the tables of settings in the docs are made from
these types; the meaning of a field is what its class says of it under `Args`. Python names are those of the
core; where a file calls the same thing differently, `field(name=...)` says so. `UNSET`: nothing is said, and
another place decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field
from msgspec.structs import asdict

from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.core.policies.base import Policy
from router_backend.core.policies.goals import POLICY_OF_GOAL
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.registry import NO_PARAMETERS, create_policy
from router_backend.core.records.characteristics import Quantization
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError
from router_backend.typed_load import Section

DAY_MS = 24 * 60 * 60 * 1000
DEVICES = ", ".join(device.value for device in Device)

Text = Annotated[str, Meta(min_length=1)]
PolicyName = Annotated[Text, Meta(extra={"expected": "the name of a policy"})]
ExperimentName = Annotated[Text, Meta(extra={"expected": "the name of an experiment"})]
Address = Annotated[Text, Meta(extra={"expected": "the address of a schema"})]
ModelName = Annotated[Text, Meta(extra={"expected": "the name of a model"})]
Pattern = Annotated[Text, Meta(extra={"expected": "a pattern of model names, such as resnet*"})]
FilePath = Annotated[Path | None, Meta(extra={"expected": "the path of a file"})]
FolderPath = Annotated[Path | None, Meta(extra={"expected": "the path of a folder"})]
Texts = Mapping[str, Annotated[Text, Meta(extra={"expected": 'text, such as "0.3"'})]]
Pairs = Annotated[Texts, Meta(extra={"expected": "name=value with commas between, each name once"})]
Count = Annotated[int, Meta(ge=1)]
WholeNumber = Annotated[float, Meta(ge=1, multiple_of=1)]
CountOrZero = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1, extra={"fix": "0.1 is 10 %"})]
Probability = Annotated[float, Meta(gt=0, lt=1)]
Ratio = Annotated[float, Meta(ge=1, extra={"fix": "2 allows the treatment twice as many as the control"})]
Milliseconds = Annotated[
    float, Meta(gt=0, extra={"unit": "milliseconds", "fix": "leave it out for no deadline"})
]
Factor = Annotated[float, Meta(ge=0, extra={"fix": "0 lets every call take as long as it takes"})]
OverdueMs = Annotated[float, Meta(gt=0, extra={"unit": "milliseconds"})]
IntervalMs = Annotated[int, Meta(ge=1, le=DAY_MS, extra={"unit": "milliseconds"})]
Seconds = Annotated[float, Meta(gt=0, extra={"unit": "seconds"})]
Megabytes = Annotated[float, Meta(gt=0, extra={"unit": "megabytes"})]
Weight = Annotated[float, Meta(gt=0, extra={"fix": "1 is neutral, 2 prefers the device twice as much"})]
Weights = Annotated[
    Mapping[Device, Weight], Meta(extra={"expected": "device=weight with commas between, each device once"})
]
BatchSizes = Annotated[
    tuple[Count, ...], Meta(extra={"none": "none", "expected": "whole numbers with commas between, or none"})
]
OutputNames = Annotated[frozenset[Text], Meta(extra={"expected": "names of outputs with commas between"})]
Devices = Annotated[frozenset[Device], Meta(min_length=1)]


class PolicyChoice(Section, frozen=True):
    """A policy with its own settings.

    Args:
        name: a policy, with its argument if it takes one: `static:resnet50_gpu`.
        parameters: its own settings, as texts.
    """

    name: PolicyName
    parameters: Texts = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reject what no policy can be made of."""
        self.new_policy()

    def new_policy(self) -> Policy:
        """Return a new policy of that name with these settings, for one model."""
        return create_policy(self.name, self.parameters)


class SharedSettings(Section, frozen=True, kw_only=True):
    """What both a router's config.pbtxt and a rule of `routing.json` can set.

    Args:
        goal: the objective to optimize for, instead of a policy.
        preferred_devices: variants on other devices are chosen only where these cost twice as much.
        max_latency_ms: the deadline of requests without one, from their arrival.
        refuse_late: reject a request at once if no variant can answer it by its deadline.
        hedge: send a request to another variant as well if it takes longer than usual.
        hedge_share: what such second copies may add to the load, as a share.
        overdue_factor: after this multiple of the upper end of its prediction interval, a call is overdue
            and its request goes to another variant; `0`: never.
        overdue_min_ms: no call is overdue before, except at half of a deadline with `refuse_late`.
        overdue_max_ms: a call to a measured variant is overdue after this, even if it should take longer.
        overdue_unmeasured_ms: when a call to a variant that was never measured is overdue.
    """

    TOGETHER = frozenset({"policy", "policy_parameters", "goal"})

    goal: OptimizationGoal | UnsetType = UNSET
    preferred_devices: Devices | UnsetType = field(name="preferred_backends", default=UNSET)
    max_latency_ms: Milliseconds | UnsetType = UNSET
    refuse_late: bool | UnsetType = UNSET
    hedge: bool | UnsetType = UNSET
    hedge_share: Share | UnsetType = UNSET
    overdue_factor: Factor | UnsetType = UNSET
    overdue_min_ms: OverdueMs | UnsetType = UNSET
    overdue_max_ms: OverdueMs | UnsetType = UNSET
    overdue_unmeasured_ms: OverdueMs | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Reject settings from which no policy follows, or two."""
        named = self.named_policy()
        if named is not UNSET and self.goal is not UNSET:
            found = f"both, '{named.name}' and '{self.goal.value}'"
            raise ConfigurationError(
                path="goal", expected="a policy or a goal", found=found, fix="remove one"
            )

    @property
    def policy_choice(self) -> PolicyChoice | UnsetType:
        """The policy, named or implied by the goal."""
        return self.named_policy() if self.goal is UNSET else PolicyChoice(POLICY_OF_GOAL[self.goal])

    def named_policy(self) -> PolicyChoice | UnsetType:
        """Return the policy that is named."""
        raise NotImplementedError


class RoutingRule(SharedSettings, frozen=True, kw_only=True):
    """Settings for the models whose names match.

    Args:
        model_name_pattern: `*` is any text, `?` any character, `[ab]` one of them; case matters.
        policy: the policy that chooses.
    """

    model_name_pattern: Pattern
    policy: PolicyChoice | UnsetType = UNSET

    def named_policy(self) -> PolicyChoice | UnsetType:
        """Return the policy that is named."""
        return self.policy


class LimitsSection(Section, frozen=True, kw_only=True):
    """What may be in flight on a device.

    Args:
        max_in_flight: how many requests at a time.
        max_memory_mb: how much memory these are expected to take together, in megabytes.
    """

    max_in_flight: WholeNumber | UnsetType = UNSET
    max_memory_mb: Megabytes | UnsetType = UNSET


class StepSection(Section, frozen=True, kw_only=True):
    """A step of a rollout.

    Args:
        after_s: seconds since the experiment was started.
        fraction: the share of units with the treatment from then on, larger than before.
    """

    after_s: Seconds
    fraction: Share


class GuardrailsSection(Section, frozen=True, kw_only=True):
    """When an experiment is stopped.

    Args:
        error_ratio: how many times as often as the control's the treatment's requests may fail; `null`: any.
        slow_ratio: how many times as often its answers may be above the control's p99; `null`: any.
        false_stop_rate: the probability of ever stopping a treatment that keeps within all limits.
        mean_ratio: how many times as long as the control's its answers may take in the mean; `null`: any.
    """

    error_ratio: Ratio | None = 1.5
    slow_ratio: Ratio | None = 1.5
    false_stop_rate: Probability = 0.01
    mean_ratio: Ratio | None = 1.5


class ExperimentSection(Section, frozen=True, kw_only=True):
    """A comparison of two policies.

    Args:
        experiment_id: its name; which units get the treatment depends on it.
        control: the policy that the treatment is compared with.
        treatment: the policy that is tried.
        fraction: the share of its units that gets the treatment.
        model_name_pattern: the models that it is for.
        assign_by: `request`: by each request's unit; `model`: by the model's name, for all its requests.
        unit_range: the units that take part, as two shares; those of one model's experiments must not
            overlap.
        rollout: steps to larger fractions, in their order.
        guardrails: when to stop the treatment; `null`: never, which assignment by model requires.
    """

    experiment_id: ExperimentName
    control: PolicyChoice
    treatment: PolicyChoice
    fraction: Share
    model_name_pattern: Pattern = "*"
    assign_by: AssignBy = AssignBy.REQUEST
    unit_range: tuple[Share, Share] = (0.0, 1.0)
    rollout: tuple[StepSection, ...] = ()
    guardrails: GuardrailsSection | None = field(default_factory=GuardrailsSection)

    def __post_init__(self) -> None:
        """Reject what `Experiment` rejects."""
        self.experiment()

    def experiment(self) -> Experiment:
        """Return the experiment as the core runs it."""
        members = asdict(self) | {
            "control": self.control.name,
            "control_parameters": self.control.parameters,
            "treatment": self.treatment.name,
            "treatment_parameters": self.treatment.parameters,
            "rollout": tuple(RolloutStep(**asdict(step)) for step in self.rollout),
            "guardrails": None if self.guardrails is None else Guardrails(**asdict(self.guardrails)),
        }
        return Experiment(**members)


OnePolicy = Annotated[RoutingRule, Meta(extra_json_schema={"not": {"required": ["policy", "goal"]}})]
ComparableExperiment = Annotated[
    ExperimentSection,
    Meta(
        extra_json_schema={
            "if": {"required": ["assign_by"], "properties": {"assign_by": {"const": "model"}}},
            "then": {"required": ["guardrails"], "properties": {"guardrails": {"type": "null"}}},
        }
    ),
]


class RoutingDocument(Section, frozen=True, kw_only=True):
    """How routers choose: default, rules by model name, weights and limits of the devices.

    Args:
        default_policy: the policy of models for which neither config.pbtxt nor a rule names one.
        rules: settings by model name; the first rule that matches applies, alone.
        device_weights: by device; the cost of its variants is divided by it, so that 2 prefers them twice
            as much.
        device_limits: by device, what may be in flight there, all models together.
        profiling: learn from answers; else the predictions stay as they are.
        experiments: comparisons of two policies on a share of the requests.
        address: the address of this schema, for editors.
    """

    default_policy: PolicyChoice = PolicyChoice(LatencyOptimizedPolicy.name)
    rules: tuple[OnePolicy, ...] = field(name="routing_rules", default=())
    device_weights: Mapping[Device, Weight] = field(name="backend_weights", default_factory=dict)
    device_limits: Mapping[Device, LimitsSection] = field(name="backend_limits", default_factory=dict)
    profiling: bool = True
    experiments: tuple[ComparableExperiment, ...] = ()
    address: Address | UnsetType = field(name="$schema", default=UNSET)


class VariantEntry(Section, frozen=True):
    """One entry of the parameter `variants`: `name`, or `name=device` where nothing else tells the device."""

    name: ModelName
    device: Device | UnsetType = UNSET


Entries = Annotated[
    tuple[VariantEntry, ...],
    Meta(
        min_length=1,
        extra={
            "expected": f"model names with commas between, each as name or name=device (device: {DEVICES})"
        },
    ),
]


class RouterParameters(SharedSettings, frozen=True, kw_only=True):
    """What a router's config.pbtxt says in its `parameters`.

    Args:
        variants: the models behind the router, with commas between: `name` or `name=device`.
        policy: the policy that chooses; without it as `goal` or `routing_config` say, else `latency`.
        policy_parameters: the policy's own settings: `name=value` with commas between.
        device_weights: how much devices are preferred, as in `gpu=1.2, cpu=0.8`; 1 is neutral.
        routing_config: a file with rules for many models, reloaded when it changes; its path
            from the model's folder.
        coverage: the share of latencies that a prediction interval should contain.
        worker_threads: requests forwarded at a time, 12 fewer than the server's `thread-pool-size` at most.
        max_in_flight: requests inside the router, waiting ones included; more are rejected with UNAVAILABLE.
        load_dead_variants: load a variant again whose process died, if models may be loaded by request.
        readiness_interval_ms: how often a variant that is not loaded is looked for again.
        warmup_batch_sizes: the batches that a variant is timed with when it becomes ready; `none`: no
            warm-up.
        profile_folder: a folder in which the router keeps what it has learned while it does not run; its path
            from the server's working directory.
        optional_outputs: outputs that a variant may leave out of an answer, with commas between; an answer
            without another one that was asked for is a failure of the variant.
        trace_file: a file to which every request is appended as a line of JSON, to replay in the
            simulator; its path from the server's working directory.
        metrics: show the router's metrics in Triton's metrics endpoint.
        metrics_interval_ms: how often they are updated there.
    """

    variants: Entries
    policy: str | UnsetType = UNSET
    policy_parameters: Pairs | UnsetType = UNSET
    device_weights: Weights = field(name="backend_weights", default_factory=dict)
    routing_config: FilePath = None
    coverage: Probability = ModelSettings().coverage
    worker_threads: Annotated[int, Meta(ge=1, le=10_000)] = 20
    max_in_flight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    load_dead_variants: bool = True
    readiness_interval_ms: IntervalMs = 500
    warmup_batch_sizes: BatchSizes = (1, 1, 8, 8)
    profile_folder: FolderPath = None
    optional_outputs: OutputNames = frozenset()
    trace_file: FilePath = None
    metrics: bool = True
    metrics_interval_ms: IntervalMs = 1000

    def named_policy(self) -> PolicyChoice | UnsetType:
        """Return the policy that is named."""
        if self.policy is UNSET:
            if self.policy_parameters is UNSET:
                return UNSET
            expected, fix = "the parameter 'policy' as well", "name the policy"
            raise ConfigurationError(path="policy_parameters", expected=expected, found="none", fix=fix)
        try:
            return PolicyChoice(self.policy, self.policy_parameters or NO_PARAMETERS)
        except ConfigurationError as error:
            (problem,) = error.problems
            path = f"policy_{problem.path}" if problem.path else "policy"
            raise ConfigurationError(replace(problem, path=path)) from None


class StatedCharacteristics(Section, frozen=True, kw_only=True):
    """What a variant's config.pbtxt may state about its model.

    Args:
        parameter_count: learned numbers.
        parameter_bytes: bytes of these.
        macs: multiply-accumulates for one item.
        activation_bytes: bytes of all intermediate tensors of one item.
        quantization: how its numbers are reduced, with commas between.
        supports_gpu: it runs on a GPU.
        supports_neural_engine: it runs on Apple's Neural Engine.
        supports_mps: it runs on Apple's GPU.
    """

    parameter_count: CountOrZero | UnsetType = UNSET
    parameter_bytes: CountOrZero | UnsetType = UNSET
    macs: CountOrZero | UnsetType = UNSET
    activation_bytes: CountOrZero | UnsetType = UNSET
    quantization: frozenset[Quantization] | UnsetType = UNSET
    supports_gpu: bool | UnsetType = UNSET
    supports_neural_engine: bool | UnsetType = UNSET
    supports_mps: bool | UnsetType = UNSET
