"""A real Triton server from the nvidia-pytriton wheel, for use without a container."""

from router_tools.embedded_triton.backend_directory import RouterHost
from router_tools.embedded_triton.models import ModelStatus
from router_tools.embedded_triton.server import EmbeddedTriton

__all__ = ["EmbeddedTriton", "ModelStatus", "RouterHost"]
