"""Atomic creation of a model repository of emulated variants and routers."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from router_tools.emulation.model_config import emulated_name, router_config, variant_config
from router_tools.emulation.suitability import check_world
from router_tools.errors import ToolError
from router_tools.simulator.world import World

_CODE = '''"""An emulated device, configured by the parameters in config.pbtxt."""

from router_backend.executors.emulated_device import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''

Parameters = Mapping[str, str]


def write_repository(
    folder: Path, world: World, routers: Mapping[str, Parameters], largest_batch: int
) -> list[str]:
    """Write an emulated variant for each variant of a world, and routers for all of them.

    Drifts, outages and stalls of the world are left out.

    Args:
        folder: the model repository; must be new or empty.
        world: the world.
        routers: by router model, its parameters except `variants`.
        largest_batch: the largest batch of variants without a limit.

    Returns:
        The names of the models.

    Raises:
        ToolError: the folder is not empty or cannot be written, or the world cannot be emulated.
    """
    check_world(world)
    variants = {emulated_name(variant.name): variant for variant in world.variants}
    texts = {name: variant_config(variant, largest_batch) for name, variant in variants.items()}
    listed = {"variants": ", ".join(variants)}
    texts |= {name: router_config({**listed, **parameters}) for name, parameters in routers.items()}
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ToolError(f"{folder}: expected a new or empty folder, found files: choose another one")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".emulate-", dir=folder.parent) as parent:
            unfinished = Path(parent) / "repository"
            for name, text in texts.items():
                _write_model(unfinished / name, text, _CODE if name in variants else None)
            unfinished.rename(folder)
    except OSError as error:
        raise ToolError(f"{folder}: cannot write the repository: {error.strerror}") from error
    return list(texts)


def _write_model(folder: Path, config: str, code: str | None) -> None:
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config, encoding="utf-8")
    if code is not None:
        (folder / "1" / "model.py").write_text(code, encoding="utf-8")
