"""The two networks of the demo, from files in the `onnx` package."""

from dataclasses import dataclass
from pathlib import Path

import onnx

# Real architectures from the backend tests of ONNX; their weights are constants, so the files are small.
_LIGHT_MODELS = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network without weights.

    Args:
        name: the logical model that is made from it.
        file_name: its file in the `onnx` package.
    """

    name: str
    file_name: str

    @property
    def path(self) -> Path:
        """The file's path in the installed `onnx` package."""
        return _LIGHT_MODELS / self.file_name


RESNET50 = Architecture("resnet50", "light_resnet50.onnx")
SQUEEZENET = Architecture("squeezenet", "light_squeezenet.onnx")
ARCHITECTURES = (RESNET50, SQUEEZENET)
