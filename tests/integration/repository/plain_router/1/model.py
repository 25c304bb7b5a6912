"""The router as an ordinary Python model."""

from router_backend.model import TritonPythonModel

__all__ = ["TritonPythonModel"]
