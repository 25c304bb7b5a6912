"""Takes up changes of the routing configuration while the router serves."""

from __future__ import annotations

import threading
from collections.abc import Callable

from router_backend.config.load import ROUTING, RouterSetup, RoutingFile, parse_routing
from router_backend.config.repository import CONFIG_FILE
from router_backend.config.resolve import RoutingConfig
from router_backend.core.router import ModelRouter
from router_backend.errors import ConfigurationError
from router_backend.path_kind import read_bytes

Tell = Callable[[str], None]


class ConfigWatcher:
    """Looks into the file at an interval, from one background thread.

    It compares what the file holds, not its time: so it does not matter whether the file is written in
    place, is replaced, or is behind a link that is turned to another one, as Kubernetes does. A change counts
    when two looks in a row have found the same, so that a file is not judged while it is being written.

    What is wrong is told once, and the settings stay as they were until the file is right again.

    Args:
        model: the router model.
        file: its routing configuration, as it was loaded.
        router: what is told of changes.
        inform: is told that a change was taken up.
        warn: is told why a change was not, and of rules that are for no model.
    """

    INTERVAL_S = 0.5

    def __init__(
        self, model: RouterSetup, file: RoutingFile, router: ModelRouter, inform: Tell, warn: Tell
    ) -> None:
        self._model = model
        self._file = file
        self._router = router
        self._inform = inform
        self._warn = warn
        self._judged: bytes | str = file.content
        self._seen: bytes | str = file.content
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-config", daemon=True)

    def start(self) -> None:
        """Start the thread; nothing that can still fail the model's load may follow."""
        self._warn_of_unused(self._file.config)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Look into the file once."""
        found = self._read()
        if found == self._seen != self._judged:
            self._judged = found
            self._judge(found)
        self._seen = found

    def _run(self) -> None:
        while not self._ended.wait(self.INTERVAL_S):
            self.look()

    def _read(self) -> bytes | str:
        """What the file holds; a text: why it cannot be read."""
        try:
            return read_bytes(self._file.path, ROUTING)
        except ConfigurationError as error:
            return str(error)

    def _judge(self, found: bytes | str) -> None:
        if isinstance(found, str):
            self._refuse(found)
            return
        try:
            self._take_up(found)
        except ConfigurationError as error:
            self._refuse(str(error))
        except Exception as defect:  # noqa: BLE001 - a policy of another package may raise what it likes
            self._refuse(f"{self._file.path}: defect in a policy: {defect!r}")
        else:
            self._inform(f"model '{self._model.name}' has taken up the change of {self._file.path}")

    def _refuse(self, reason: str) -> None:
        name = self._model.name
        self._router.model(name).config_refused()
        self._warn(f"model '{name}' goes on with the settings that it had: {reason}")

    def _take_up(self, found: bytes) -> None:
        """Have the router follow what was found, all of it or nothing.

        Raises:
            ConfigurationError: it cannot.
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


def watch_config(model: RouterSetup, router: ModelRouter, inform: Tell, warn: Tell) -> ConfigWatcher | None:
    """What takes up changes of a router model's routing configuration; None: it has none."""
    if model.routing_file is None:
        return None
    return ConfigWatcher(model, model.routing_file, router, inform, warn)
