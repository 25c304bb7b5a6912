"""What became of each model of the repository: the server's own index, and its log where that is silent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from router_tools.embedded_triton.server_log import load_failures


class IndexEntry(TypedDict, total=False):
    """One line of the repository index as the server sends it; `name` is always there."""

    name: str
    version: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One version of one model."""

    name: str
    version: str
    """Empty where the model never got as far as a version."""
    state: str
    """READY, UNAVAILABLE, LOADING or UNLOADING."""
    reason: str
    """Why it is not ready, in the server's words on one line; empty when it is."""

    @property
    def settled(self) -> bool:
        """Whether the server is done with it, one way or the other."""
        return self.state in ("READY", "UNAVAILABLE")


def model_statuses(index: Iterable[IndexEntry], log: str) -> list[ModelStatus]:
    """The models of a repository, by name.

    Triton lists a model whose configuration it could not read without a state, and leaves out one that has
    no version folder; why is in its log only.
    """
    failures = load_failures(log)
    statuses = [_status(entry, failures) for entry in index]
    listed = {status.name for status in statuses}
    statuses += [
        ModelStatus(name, "", "UNAVAILABLE", reason)
        for name, reason in failures.items()
        if name not in listed
    ]
    return sorted(statuses, key=lambda status: (status.name, status.version))


def _status(entry: IndexEntry, failures: Mapping[str, str]) -> ModelStatus:
    name = entry["name"]
    state = entry.get("state", "UNAVAILABLE")
    reason = "" if state == "READY" else failures.get(name) or entry.get("reason", "not loaded")
    return ModelStatus(name, entry.get("version", ""), state, reason)
