"""The state of each model of the repository, from the server's index and, where that has none, its log."""

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
    """Empty if loading failed before a version was known."""
    state: str
    """READY, UNAVAILABLE, LOADING or UNLOADING."""
    reason: str
    """The server's message on one line; empty if the model is ready."""

    @property
    def settled(self) -> bool:
        """Whether the server has finished loading it, successfully or not."""
        return self.state in ("READY", "UNAVAILABLE")


def model_statuses(index: Iterable[IndexEntry], log: str) -> list[ModelStatus]:
    """Return the models of a repository, sorted by name.

    Triton lists a model with an unreadable configuration without a state, and does not list one without a
    version folder; only its log says why.
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
