"""Forwards to another server."""

from router_backend.executors.remote import TritonPythonModel

__all__ = ["TritonPythonModel"]
