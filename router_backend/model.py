"""The file that Triton loads for every model with `backend: "router_backend"`."""

import sys
from pathlib import Path

# Triton adds this folder to the path, not the one that contains the package.
_PACKAGE_PARENT = str(Path(__file__).resolve().parent.parent)
if _PACKAGE_PARENT not in sys.path:
    sys.path.append(_PACKAGE_PARENT)

from router_backend.serving.adapter import TritonPythonModel  # noqa: E402

__all__ = ["TritonPythonModel"]
