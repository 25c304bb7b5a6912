"""Model repositories for the tests: copies of the ready models, routers and what a test changes in them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

READY_MODELS = Path(__file__).parent / "repository"
NO_CHANGES: Mapping[str, str] = {}


class ModelRepository:
    """A repository in a folder of its own.

    Args:
        folder: where; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def variant(
        self, name: str, kind: str, changes: Mapping[str, str] = NO_CHANGES, **parameters: str | int
    ) -> None:
        """Copy a ready model.

        Args:
            name: of the copy.
            kind: the ready model.
            changes: what to write in its config.pbtxt instead of what.
            parameters: of the model; `device` is cpu unless it says otherwise, none where it is empty.
        """
        shutil.copytree(READY_MODELS / kind, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        config = (READY_MODELS / kind / "config.pbtxt").read_text()
        for old, new in changes.items():
            assert old in config, f"{kind}/config.pbtxt has no '{old}' to change"
            config = config.replace(old, new)
        wanted = {"device": "cpu", **parameters}
        self._write(name, config, {key: value for key, value in wanted.items() if value != ""})

    def router(self, name: str, variants: str, declared: str = "", **parameters: str | int) -> None:
        """Add a router model that is nothing but a config.pbtxt, or write it anew.

        Args:
            name: the logical model.
            variants: the parameter of that name.
            declared: what else its config.pbtxt says.
            parameters: its further parameters.
        """
        (self.folder / name / "1").mkdir(parents=True, exist_ok=True)
        self._write(name, f'backend: "router_backend"\n{declared}\n', {"variants": variants, **parameters})

    def plain_router(self, name: str, variants: str, **parameters: str | int) -> None:
        """Add a router model in the form of an ordinary Python model."""
        self.variant(name, "plain_router", device="", variants=variants, **parameters)

    def ensemble(self, name: str, step: str) -> None:
        """Add an ensemble whose one step is the model `step`."""
        (self.folder / name / "1").mkdir(parents=True)
        config = (READY_MODELS / "ensemble.pbtxt").read_text().replace("STEP", step)
        self._write(name, config, {})

    def _write(self, name: str, config: str, parameters: Mapping[str, str | int]) -> None:
        entries = [
            f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
            for key, value in parameters.items()
        ]
        (self.folder / name / "config.pbtxt").write_text(config + "".join(entries))
