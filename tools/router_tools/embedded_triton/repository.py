"""Check the model repository before a server is started."""

from pathlib import Path

from router_backend.path_kind import FOLDER, path_kind
from router_tools.errors import ToolError

MODEL_REPOSITORY = Path("model_repository")
"""The repository that the commands write and serve by default, in the current folder."""


def check_repository(repository: Path) -> None:
    """Reject a repository that does not exist or has no models: Triton would start and serve nothing."""
    if path_kind(repository) != FOLDER:
        raise ToolError(
            f"model repository {repository} is not a folder: create it, with one folder for each model, "
            "or name another one with --model-repository"
        )
    if not any(path.is_dir() for path in repository.iterdir()):
        raise ToolError(
            f"model repository {repository} has no models: put one folder for each model into it, "
            "or name another one with --model-repository"
        )
