"""What the server's log says about a failure."""

import json
import re

_MESSAGE = re.compile(r'^[EI]\d{4} [^]]*\.cc:\d+\] (?P<quoted>".*")$')
_FAILURE = re.compile(
    r"(?:Poll failed for model directory|failed to poll model|failed to load(?: model)?) "
    r"'(?P<model>[^']+)'(?: version -?\d+)?: (?P<reason>.*)",
    re.DOTALL,
)
_PARSE_ERROR = re.compile(r"^\[libprotobuf ERROR .*\] Error parsing text-format \S+ (?P<where>.*)$")
_LOADING = re.compile(r'"loading: (?P<model>.+):-?\d+"$', re.MULTILINE)
_LOADED = re.compile(r"\"successfully loaded '(?P<model>[^']+)'\"$", re.MULTILINE)
_STUCK = re.compile(r"Failed to preinitialize Python stub: (?P<reason>.*)$", re.MULTILINE)


def load_failures(log: str) -> dict[str, str]:
    """The reason of each model that failed to load, on one line, by the model's name."""
    failures: dict[str, str] = {}
    parse_error = ""
    for line in log.splitlines():
        if failure := _failure(line):
            failures[failure["model"]] = _one_line(failure["reason"]) + parse_error
        # Where in a config.pbtxt the mistake is, is said one line before its model is named.
        found = _PARSE_ERROR.match(line)
        parse_error = f" (line and column {found['where']})" if found else ""
    return failures


def gave_up_loading(log: str) -> bool:
    """Whether the server ended because a model failed to load."""
    return "creating server: Internal - failed to load all models" in log


def models_still_loading(log: str) -> list[str]:
    """The models that the server began to load and has neither loaded nor given up."""
    done = {*_LOADED.findall(log), *load_failures(log)}
    return sorted({*_LOADING.findall(log)} - done)


def stuck_stub(log: str) -> str | None:
    """What a stub said that ended too early for the server to notice: Triton 2.51 then never gets ready."""
    stuck = _STUCK.search(log)
    return stuck["reason"] if stuck else None


def refused_arguments(log: str) -> str | None:
    """What the server said about its arguments before or after its help; None if it took them all."""
    lines = log.splitlines()
    if "Usage: tritonserver [options]" not in lines:
        return None
    complaint = lines[0] if not lines[0].startswith("Usage") else lines[-1]
    return complaint.rpartition("tritonserver: ")[2].strip() or "it does not say which"


def last_lines(log: str, count: int = 12) -> str:
    """The end of the log, without the tables and empty lines that Triton prints."""
    lines = [line for line in log.splitlines() if line and line[0] not in "+|"]
    return "\n".join(lines[-count:])


def _failure(line: str) -> re.Match[str] | None:
    message = _MESSAGE.match(line)
    try:
        return _FAILURE.match(json.loads(message["quoted"])) if message else None
    except json.JSONDecodeError:  # two processes wrote at the same time
        return None


def _one_line(reason: str) -> str:
    """Without the stack that the Python backend appends to an exception."""
    return " ".join(reason.split("\n\nAt:")[0].split())
