"""Serve this variant with ONNX Runtime, as configured in config.pbtxt."""

from router_backend.executors.onnx_runtime import TritonPythonModel

__all__ = ["TritonPythonModel"]
