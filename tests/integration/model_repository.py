"""Model repositories for the tests: routers and copies of prepared models, with changes."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from router_tools.demo.repository import TEMPLATE, variant_names

READY_MODELS = Path(__file__).parent / "repository"
NO_CHANGES: Mapping[str, str] = {}


class ModelRepository:
    """A model repository.

    Args:
        folder: its folder; created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def variant(
        self, name: str, kind: str, changes: Mapping[str, str] = NO_CHANGES, **parameters: str | int
    ) -> None:
        """Copy a prepared model.

        Args:
            name: the name of the copy.
            kind: the prepared model.
            changes: replacements in its config.pbtxt.
            parameters: its parameters; `device` is cpu by default, and left out if empty.
        """
        shutil.copytree(READY_MODELS / kind, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        config = (READY_MODELS / kind / "config.pbtxt").read_text()
        for old, new in changes.items():
            assert old in config, f"{kind}/config.pbtxt has no '{old}' to change"
            config = config.replace(old, new)
        wanted = {"device": "cpu", **parameters}
        self._write(name, config, {key: value for key, value in wanted.items() if value != ""})

    def router(self, name: str, variants: str, declared: str = "", **parameters: str | int) -> None:
        """Add or replace a router model that consists of a config.pbtxt.

        Args:
            name: the logical model.
            variants: the parameter of that name.
            declared: more text for its config.pbtxt.
            parameters: its other parameters.
        """
        (self.folder / name / "1").mkdir(parents=True, exist_ok=True)
        self._write(name, f'backend: "router_backend"\n{declared}\n', {"variants": variants, **parameters})

    def plain_router(self, name: str, variants: str, **parameters: str | int) -> None:
        """Add a router model as an ordinary Python model."""
        self.variant(name, "plain_router", device="", variants=variants, **parameters)

    def ensemble(self, name: str, step: str) -> None:
        """Add an ensemble with the model `step` as its only step."""
        (self.folder / name / "1").mkdir(parents=True)
        config = (READY_MODELS / "ensemble.pbtxt").read_text().replace("STEP", step)
        self._write(name, config, {})

    def squeezenet_variants(self, fp32: Path, int8: Path) -> None:
        """Add the variants of the demo's smaller model, as its command writes them."""
        unwanted = shutil.ignore_patterns("*.onnx", "__pycache__")
        for name in variant_names("squeezenet"):
            shutil.copytree(TEMPLATE / name, self.folder / name, ignore=unwanted)
            shutil.copy(int8 if name.endswith("int8") else fp32, self.folder / name / "1" / "model.onnx")

    def _write(self, name: str, config: str, parameters: Mapping[str, str | int]) -> None:
        entries = [
            f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
            for key, value in parameters.items()
        ]
        (self.folder / name / "config.pbtxt").write_text(config + "".join(entries))
