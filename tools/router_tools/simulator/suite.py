"""A suite: cases that are compared together, and what they must show."""

from dataclasses import dataclass

from router_tools.simulator.comparison import Case, Comparison
from router_tools.simulator.policy_choice import ORACLES
from router_tools.simulator.summary import means


@dataclass(frozen=True)
class Target:
    """What the mean over the seeds of a figure of a policy must be; each bound that is given.

    Args:
        policy: whose figure.
        figure: its name in the summary.
        at_least: the least that will do.
        at_most: the most that will do.
        least_of_all: whether no other policy but the oracles may have less.
    """

    policy: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    least_of_all: bool = False

    def __str__(self) -> str:
        bounds = [] if self.at_least is None else [f"≥ {self.at_least:g}"]
        if self.at_most is not None:
            bounds.append(f"≤ {self.at_most:g}")
        if self.least_of_all:
            bounds.append("least of all")
        return ", ".join(bounds)


@dataclass(frozen=True)
class SuiteCase:
    """A case and its targets.

    Args:
        case: what is compared.
        targets: what it must show.
    """

    case: Case
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Outcome:
    """Whether a target was met.

    Args:
        case: the name of the case.
        target: what it must show.
        value: what it showed.
        met: whether that will do.
        rival: the best other policy, where the target is about others.
    """

    case: str
    target: Target
    value: float
    met: bool
    rival: str | None = None


def judge(suite_case: SuiteCase, comparison: Comparison) -> list[Outcome]:
    """Hold what came of a case against its targets."""
    figures = {policy: means(runs) for policy, runs in comparison.metrics.items()}
    return [_judge(suite_case.case.name, target, figures) for target in suite_case.targets]


def _judge(case: str, target: Target, figures: dict[str, dict[str, float]]) -> Outcome:
    value = figures[target.policy][target.figure]
    met = (target.at_least is None or value >= target.at_least) and (
        target.at_most is None or value <= target.at_most
    )
    if not target.least_of_all:
        return Outcome(case, target, value, met)
    others = {
        policy: own[target.figure]
        for policy, own in figures.items()
        if policy != target.policy and policy not in ORACLES
    }
    rival = min(others, key=lambda policy: others[policy])
    return Outcome(case, target, value, met and value <= others[rival], f"{rival} {others[rival]:.3f}")
