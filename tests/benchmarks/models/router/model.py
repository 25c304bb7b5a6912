"""The router as an ordinary Python model, which is on the Python host in any server."""

from router_backend.model import TritonPythonModel as TritonPythonModel
