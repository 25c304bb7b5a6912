"""Errors of the commands."""

INSTALL_COMMAND = 'pip install "triton-model-router[serve]"'
"""Installs the packages that the commands need in addition to the base installation."""


class ToolError(Exception):
    """A command cannot continue: one sentence that says where, what was expected and found, and the fix."""
