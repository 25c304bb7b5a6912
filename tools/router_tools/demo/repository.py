"""The demo's model repository: its variants and the file that each of them runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from router_tools.demo.architecture import ARCHITECTURES, Architecture
from router_tools.demo.cache import obtain
from router_tools.demo.int8 import Agreement
from router_tools.demo.placement import copy_missing, place
from router_tools.demo.recipe import make_fp32, make_int8, read_agreement, recipe_key
from router_tools.errors import ToolError

_IN_WHEEL = Path(__file__).with_name("model_repository")
_IN_CHECKOUT = Path(__file__).resolve().parents[3] / "model_repository"
TEMPLATE = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
"""The configuration and code of each variant and router."""
_FP32, _INT8 = "fp32", "int8"
# The end of a variant's name, and the precision of its file.
_VARIANTS = {"cpu": _FP32, "cpu_int8": _INT8, "gpu": _FP32, "neural_engine": _FP32, "mps": _FP32}

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoModel:
    """A file that variants run.

    Args:
        name: the logical model.
        precision: "fp32" or "int8".
        path: the file in the cache.
        size_mb: its size in units of 10^6 bytes.
        sha256: hash of its bytes.
        agreement: of an int8 file with its fp32 file; `None` for an fp32 file.
    """

    name: str
    precision: str
    path: Path
    size_mb: float
    sha256: str
    agreement: Agreement | None


def variant_names(model: str) -> list[str]:
    """Return the names of the variants of a logical model."""
    return [f"{model}_{ending}" for ending in _VARIANTS]


def check_output(folder: Path) -> None:
    """Reject a repository of other models, so that the demo does not write into it and serve them.

    Raises:
        ToolError: the folder is neither empty nor contains a model of the demo.
    """
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if present and present.isdisjoint(path.name for path in TEMPLATE.iterdir()):
        raise ToolError(
            f"{folder.absolute()}: expected an empty folder or the demo's models, found other files; run the "
            "command in an empty folder, or name another model repository"
        )


def step_count() -> int:
    """Return how many steps `make_models` and `place_models` announce together."""
    return 2 * len(ARCHITECTURES) + len(_VARIANTS) * len(ARCHITECTURES)


def make_models(cache: Path, *, force: bool, announce: Announce) -> list[DemoModel]:
    """Make the files of all architectures, or take them from the cache.

    Args:
        cache: folder to keep them in.
        force: make them even if the cache has them.
        announce: called with the name of each step before it starts.
    """
    return [
        model for each in ARCHITECTURES for model in _make_both(each, cache, force=force, announce=announce)
    ]


def place_models(models: list[DemoModel], output: Path, *, announce: Announce) -> list[Path]:
    """Put the files into the repository's variants; copy their configuration where it is missing.

    Args:
        models: what `make_models` returned.
        output: the model repository.
        announce: called with the name of each step before it starts.

    Returns:
        The file of each variant.
    """
    copy_missing(TEMPLATE, output, except_suffixes=[".onnx", ".pyc"])
    return [_placed(model, file, announce) for model in models for file in _files_of(model, output)]


def _make_both(
    architecture: Architecture, cache: Path, *, force: bool, announce: Announce
) -> Iterator[DemoModel]:
    key, name = recipe_key(architecture), architecture.name
    announce(f"{name}: random weights")
    fp32 = obtain(cache, f"{name}_{_FP32}", key, partial(make_fp32, architecture), force=force)
    yield _described(name, _FP32, fp32, None)
    announce(f"{name}: int8")
    int8 = obtain(cache, f"{name}_{_INT8}", key, partial(make_int8, fp32), force=force)
    yield _described(name, _INT8, int8, read_agreement(int8))


def _described(name: str, precision: str, path: Path, agreement: Agreement | None) -> DemoModel:
    content = path.read_bytes()
    size_mb = round(len(content) / 1e6, 1)
    return DemoModel(name, precision, path, size_mb, sha256(content).hexdigest(), agreement)


def _files_of(model: DemoModel, output: Path) -> list[Path]:
    return [
        output / f"{model.name}_{ending}" / "1" / "model.onnx"
        for ending, precision in _VARIANTS.items()
        if precision == model.precision
    ]


def _placed(model: DemoModel, file: Path, announce: Announce) -> Path:
    announce(f"{file.parents[1].name}: {model.precision} file")
    place(model.path, file)
    return file
