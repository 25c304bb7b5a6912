"""Applies changes of the routing configuration while the router serves."""

from __future__ import annotations

import threading
from collections.abc import Callable

from router_backend.config.load import MOST_ROUTING_BYTES, ROUTING, RouterSetup, RoutingFile, parse_routing
from router_backend.config.repository import CONFIG_FILE
from router_backend.config.resolve import RoutingConfig
from router_backend.core.router import ModelRouter
from router_backend.errors import DEFECTS, ConfigurationError
from router_backend.path_kind import read_bytes

Log = Callable[[str], None]


class ConfigWatcher:
    """Checks the file at an interval, from one background thread.

    It compares contents, not timestamps, so that it also notices a file that is replaced, or a symbolic link
    that is redirected, as Kubernetes does. A change counts once two checks in a row read the same content: a
    file is not judged while it is being written.

    An invalid file is reported once, and the settings stay as they are until it is valid again. So is an
    experiment of the file that its guardrails have stopped: requests themselves write no log.
    """

    INTERVAL_S = 0.5

    def __init__(
        self, model: RouterSetup, file: RoutingFile, router: ModelRouter, inform: Log, warn: Log
    ) -> None:
        self._model = model
        self._file = file
        self._router = router
        self._inform = inform
        self._warn = warn
        self._judged: bytes | str = file.content
        self._seen: bytes | str = file.content
        self._stops: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-config", daemon=True)

    def start(self) -> None:
        """Start the thread. Call this last: nothing after it may fail the model's load."""
        self._warn_of_unused(self._file.config)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Check the file, and whether guardrails have stopped an experiment, once."""
        found = self._read()
        if found == self._seen != self._judged:
            self._judged = found
            self._judge(found)
        self._seen = found
        self._warn_of_stops()

    def _run(self) -> None:
        while not self._ended.wait(self.INTERVAL_S):
            self.look()

    def _read(self) -> bytes | str:
        """Return the content of the file, or as `str` why it cannot be read."""
        try:
            return read_bytes(self._file.path, ROUTING, MOST_ROUTING_BYTES)
        except ConfigurationError as error:
            return str(error)

    def _judge(self, found: bytes | str) -> None:
        if isinstance(found, str):
            self._refuse(found)
            return
        try:
            self._apply(found)
        except ConfigurationError as error:
            self._refuse(str(error))
        except DEFECTS as defect:
            self._refuse(f"{self._file.path}: defect in a policy: {defect!r}")
        else:
            self._inform(f"model '{self._model.name}' has applied the change of {self._file.path}")

    def _refuse(self, reason: str) -> None:
        name = self._model.name
        self._router.model(name).config_refused()
        self._warn(f"model '{name}' keeps the settings that it had: {reason}")

    def _apply(self, found: bytes) -> None:
        """Apply the content to the router, completely or not at all.

        Raises:
            ConfigurationError: it is invalid.
        """
        config = parse_routing(str(self._file.path), found)
        settings = config.settings_for(self._model.name, self._model.parameters)
        self._model.check_fit(config)
        self._router.configure(lambda _: settings, config.experiments)
        self._warn_of_unused(config)

    def _warn_of_unused(self, config: RoutingConfig) -> None:
        repository = self._model.repository
        names = [path.parent.name for path in repository.glob(f"*/{CONFIG_FILE}")]
        for pattern in config.unused_patterns(names):
            self._warn(
                f"{self._file.path}: the pattern '{pattern}' matches no model of the repository {repository}"
            )

    def _warn_of_stops(self) -> None:
        name = self._model.name
        stops = self._router.experiments.stops(name)
        for experiment, reason in stops.items():
            if self._stops.get(experiment) != reason:
                self._warn(f"model '{name}': guardrails have stopped experiment '{experiment}': {reason}")
        self._stops = stops


def watch_config(model: RouterSetup, router: ModelRouter, inform: Log, warn: Log) -> ConfigWatcher | None:
    """Return the watcher of a router model's routing configuration; `None` if it has none."""
    if model.routing_file is None:
        return None
    return ConfigWatcher(model, model.routing_file, router, inform, warn)
