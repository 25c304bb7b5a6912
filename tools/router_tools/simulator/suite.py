"""Suites: cases with targets."""

from dataclasses import dataclass

from router_tools.simulator.comparison import Case, Comparison
from router_tools.simulator.policy_choice import ORACLES
from router_tools.simulator.summary import means


@dataclass(frozen=True)
class Target:
    """Bounds on a metric of a policy, as a mean over the seeds; all given bounds must hold.

    Args:
        policy: the name of the policy.
        figure: the name of the metric in the summary.
        at_least: the lower bound; `None` for no bound.
        at_most: the upper bound; `None` for no bound.
        least_of_all: whether no other policy except the oracles may have a lower value.
        relative_to: the policy whose figure the value is divided by; `None` for the figure itself.
    """

    policy: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    least_of_all: bool = False
    relative_to: str | None = None

    def __str__(self) -> str:
        bounds = [] if self.at_least is None else [f"≥ {self.at_least:g}"]
        if self.at_most is not None:
            bounds.append(f"≤ {self.at_most:g}")
        if self.least_of_all:
            bounds.append("lowest of all")
        of = f" of {self.relative_to}" if self.relative_to else ""
        return ", ".join(bounds) + of


@dataclass(frozen=True)
class SuiteCase:
    """A case and its targets.

    Args:
        case: the case.
        targets: its targets.
    """

    case: Case
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Outcome:
    """Whether a target was met.

    Args:
        case: the name of the case.
        target: the target.
        value: the value of the metric.
        met: whether all bounds hold.
        rival: the best other policy and its value, for `least_of_all` targets; else `None`.
    """

    case: str
    target: Target
    value: float
    met: bool
    rival: str | None = None


def judge(suite_case: SuiteCase, comparison: Comparison) -> list[Outcome]:
    """Check the results of a case against its targets."""
    figures = {policy: means(runs) for policy, runs in comparison.metrics.items()}
    return [_judge(suite_case.case.name, target, figures) for target in suite_case.targets]


def _judge(case: str, target: Target, figures: dict[str, dict[str, float]]) -> Outcome:
    value = figures[target.policy][target.figure]
    if target.relative_to is not None:
        value /= figures[target.relative_to][target.figure]
    met = (target.at_least is None or value >= target.at_least) and (
        target.at_most is None or value <= target.at_most
    )
    if not target.least_of_all:
        return Outcome(case, target, value, met)
    others = {
        policy: values[target.figure]
        for policy, values in figures.items()
        if policy != target.policy and policy not in ORACLES
    }
    rival = min(others, key=lambda policy: others[policy])
    return Outcome(case, target, value, met and value <= others[rival], f"{rival} {others[rival]:.3f}")
