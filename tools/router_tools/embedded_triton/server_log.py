"""Find the reasons of failures in the server's log."""

import json
import re
from itertools import takewhile

_MESSAGE = re.compile(r'^[EI]\d{4} [^]]*\.cc:\d+\] (?P<quoted>".*")$')
_FAILURE = re.compile(
    r"(?:Poll failed for model directory|failed to poll model|failed to load(?: model)?) "
    r"'(?P<model>[^']+)'(?: version -?\d+)?: (?P<reason>.*)",
    re.DOTALL,
)
_PARSE_ERROR = re.compile(r"^\[libprotobuf ERROR .*\] Error parsing text-format \S+ (?P<where>.*)$")
_LOADING = re.compile(r'"loading: (?P<model>.+):-?\d+"$', re.MULTILINE)
_LOADED = re.compile(r"\"successfully loaded '(?P<model>[^']+)'\"$", re.MULTILINE)
_NOT_CREATED = re.compile(r'^E\d{4} [^]]*\btritonserver\.cc:\d+\] (?P<quoted>".*")$', re.MULTILINE)
_HTTP_PORT = re.compile(r'"Started HTTPService at .*:(?P<port>\d+)"$', re.MULTILINE)
_STUCK = re.compile(r"Failed to preinitialize Python stub: (?P<reason>.*)$", re.MULTILINE)


def load_failures(log: str) -> dict[str, str]:
    """Return the reason, on one line, of each model that failed to load, by the model's name."""
    failures: dict[str, str] = {}
    parse_error = ""
    for line in log.splitlines():
        if failure := _failure(line):
            failures[failure["model"]] = _one_line(failure["reason"]) + parse_error
        # The place of an error in a config.pbtxt is logged one line before the name of its model.
        found = _PARSE_ERROR.match(line)
        parse_error = f" (line and column {found['where']})" if found else ""
    return failures


def gave_up_loading(log: str) -> bool:
    """Return whether the server ended because a model failed to load."""
    return "creating server: Internal - failed to load all models" in log


def models_still_loading(log: str) -> list[str]:
    """Return the models that the server has started to load and not finished."""
    done = {*_LOADED.findall(log), *load_failures(log)}
    return sorted({*_LOADING.findall(log)} - done)


def stuck_stub(log: str) -> str | None:
    """Return the message of a stub that ended so early that Triton 2.51 never becomes ready."""
    stuck = _STUCK.search(log)
    return stuck["reason"] if stuck else None


def not_created(log: str) -> str | None:
    """Return why a server that runs without serving anything could not be created; `None` if it was."""
    found = _NOT_CREATED.search(log)
    return json.loads(found["quoted"]) if found else None


def http_port(log: str) -> int | None:
    """Return the port of the HTTP endpoint; `None` if it is not open yet."""
    found = _HTTP_PORT.search(log)
    return int(found["port"]) if found else None


def refused_arguments(log: str) -> str | None:
    """Return the server's complaint about its arguments; `None` if it accepted them all."""
    lines = log.splitlines()
    if "Usage: tritonserver [options]" not in lines:
        return None
    # The complaint is in the line before the help or in the lines after it, which is indented.
    after = reversed([*takewhile(lambda line: not line.startswith((" ", "\t")), reversed(lines))])
    complaint = " ".join(after) if lines[0].startswith("Usage") else lines[0]
    return _one_line(complaint.rpartition("tritonserver: ")[2]) or "it does not say which"


def last_lines(log: str, count: int = 12) -> str:
    """Return the end of the log, without the tables and empty lines that Triton prints."""
    lines = [line for line in log.splitlines() if line and line[0] not in "+|"]
    return "\n".join(lines[-count:])


def _failure(line: str) -> re.Match[str] | None:
    message = _MESSAGE.match(line)
    try:
        return _FAILURE.match(json.loads(message["quoted"])) if message else None
    except json.JSONDecodeError:  # two processes wrote at the same time
        return None


def _one_line(reason: str) -> str:
    """Remove the stack trace that the Python backend appends to an exception."""
    return " ".join(reason.split("\n\nAt:")[0].split())
