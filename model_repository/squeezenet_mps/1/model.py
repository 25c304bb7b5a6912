"""ONNX Runtime serves this variant, as the parameters in config.pbtxt say."""

from router_backend.executors.onnx_runtime import TritonPythonModel

__all__ = ["TritonPythonModel"]
