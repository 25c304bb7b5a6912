"""Errors of the commands."""

INSTALL_COMMAND = 'pip install "triton-model-router[serve]"'
"""Installs what the commands need beyond the base installation."""


class ToolError(Exception):
    """A command cannot go on: one sentence with what, where, expected, found and the fix."""
