"""Errors of the commands."""


class ToolError(Exception):
    """A command cannot go on: one sentence with what, where, expected, found and the fix."""
