"""What a server and the processes of its models hold."""

import os
from dataclasses import dataclass

from router_tools.embedded_triton import EmbeddedTriton
from router_tools.embedded_triton.session import session_members
from router_tools.embedded_triton.shared_memory import find_regions


@dataclass(frozen=True)
class Usage:
    """What the processes of a server hold together.

    Args:
        memory_mb: resident memory, that of several processes counted by each: what other servers do on this
            machine changes nothing then.
        shared_mb: size of the shared memory between the server and its models.
        threads: number of threads.
        files: number of open files.
        processes: number of processes.
    """

    memory_mb: float
    shared_mb: float
    threads: int
    files: int
    processes: int

    @classmethod
    def of(cls, server: EmbeddedTriton) -> "Usage":
        """Return what the one server of this process holds now."""
        members = session_members(server.pid)
        return cls(
            sum(each.memory_info().rss for each in members) / 1e6,
            sum(region.stat().st_size for region in find_regions(f"model_router_{os.getpid()}_")) / 1e6,
            sum(each.num_threads() for each in members),
            sum(each.num_fds() for each in members),
            len(members),
        )

    def __str__(self) -> str:
        """Return it for people."""
        return (
            f"{self.memory_mb:.1f} MB, {self.shared_mb:.1f} MB shared, {self.threads} threads, "
            f"{self.files} files, {self.processes} processes"
        )

    def growth(self, since: "Usage", memory_mb: float, spare: int = 1) -> list[str]:
        """Return what is more than before, in words.

        Memory counts only if it is more by over `memory_mb`, threads and files if they are more by over
        `spare`: the server may be looked at while one comes or goes.
        """
        grown = []
        if self.memory_mb > since.memory_mb + memory_mb:
            grown.append(f"memory by {self.memory_mb - since.memory_mb:.1f} MB")
        for name, tolerance in (("shared_mb", 0), ("threads", spare), ("files", spare), ("processes", 0)):
            before, now = getattr(since, name), getattr(self, name)
            if now > before + tolerance:
                grown.append(f"{name} from {before} to {now}")
        return grown
