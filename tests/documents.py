"""Parse the project's documents: examples, tables, headings and links."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"
DOCS = CHECKOUT / "docs"
INSTALL = DOCS / "start" / "install.md"
LIBRARY = DOCS / "start" / "library.md"
REQUESTS = DOCS / "start" / "requests.md"
MESSAGES = DOCS / "operate" / "messages.md"
METRICS = DOCS / "operate" / "metrics.md"
MONITORING = DOCS / "operate" / "monitoring.md"
ONNX = DOCS / "operate" / "onnx.md"
REMOTE = DOCS / "operate" / "remote.md"
SETTINGS = DOCS / "operate" / "settings.md"
POLICIES = DOCS / "tune" / "policies.md"
ROUTING = DOCS / "tune" / "routing.md"
SIMULATION = DOCS / "tune" / "simulation.md"
SPECIFICATION = DOCS / "develop" / "specification.md"
SIMULATOR = CHECKOUT / "tools" / "router_tools" / "simulator" / "README.md"
DOCUMENTS = (
    README,
    CHECKOUT / "CHANGELOG.md",
    CHECKOUT / "CONTRIBUTING.md",
    *sorted(DOCS.rglob("*.md")),
    SIMULATOR,
)
GENERATED = re.compile(r"^<!-- (?:generated: (?P<name>[a-z ]+)|(?P<end>/generated)) -->$", re.MULTILINE)
"""The marks around a table that must agree with the code."""

Table = list[list[str]]


@dataclass(frozen=True, slots=True)
class Example:
    """A fenced block.

    Args:
        document: its document.
        line: the line number of its first line of text.
        kind: the text after the fence: the language, and a word that selects how it is tested.
        text: its text.
    """

    document: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def examples(*kinds: str) -> list[Example]:
    """Return the examples of these kinds in all documents; of every kind if none is given."""
    found = [
        Example(document, token.map[0] + 2, token.info, token.content)
        for document in DOCUMENTS
        for token in tokens(document)
        if token.type == "fence" and token.map
    ]
    return [example for example in found if not kinds or example.kind in kinds]


def commands(example: Example) -> list[str]:
    """Return the commands of a shell example, one a line, without comments."""
    lines = example.text.replace("\\\n", " ").splitlines()
    return [" ".join(line.partition("#")[0].split()) for line in lines]


def tables(document: Path, *header: str) -> dict[str, Table]:
    """Return the rows of the tables whose first columns have these names, by the heading above each.

    A cell is its text without the backticks.
    """
    found: dict[str, Table] = {}
    heading = ""
    for token, following in pairwise(tokens(document)):
        if token.type == "heading_open":
            heading = following.content
        if token.type == "table_open":
            columns, *rows = _rows(tokens(document), token)
            if columns[: len(header)] == list(header):
                assert heading not in found, f"{document.name}: two tables of {header} under '{heading}'"
                found[heading] = rows
    return found


def table(document: Path, *header: str) -> Table:
    """Return the rows of the one table whose first columns have these names."""
    (rows,) = tables(document, *header).values()
    return rows


def anchors(document: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub spells them."""
    return {_anchor(heading) for heading in _headings(document)}


def links(document: Path) -> list[str]:
    """Return the targets of all links."""
    return [str(token.attrs["href"]) for token in _inline(document) if token.type == "link_open"]


def code_words(document: Path) -> list[str]:
    """Return the words between backticks in the text."""
    return [token.content for token in _inline(document) if token.type == "code_inline"]


def generated(document: Path) -> dict[str, str]:
    """Return the text between each pair of marks of generated tables, by the name in the mark."""
    text = document.read_text(encoding="utf-8")
    marks = list(GENERATED.finditer(text))
    parts = {
        start["name"]: text[start.end() : end.start()]
        for start, end in zip(marks[::2], marks[1::2], strict=True)
        if start["name"] and end["end"]
    }
    assert 2 * len(parts) == len(marks), f"{document.name}: a mark of a generated table without its pair"
    return parts


@cache
def tokens(document: Path) -> Sequence[Token]:
    """Return the tokens that markdown-it reads from the document."""
    return MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))


def _inline(document: Path) -> Iterator[Token]:
    for token in tokens(document):
        yield from token.children or ()


def _headings(document: Path) -> Iterator[str]:
    for token, following in pairwise(tokens(document)):
        if token.type == "heading_open":
            yield following.content


def _anchor(heading: str) -> str:
    kept = (character for character in heading.lower() if character.isalnum() or character in " -_")
    return "".join(kept).replace(" ", "-")


def _rows(all_tokens: Sequence[Token], opening: Token) -> Table:
    rows: Table = []
    for token in all_tokens[all_tokens.index(opening) :]:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline":
            rows[-1].append(token.content.replace("`", ""))
    return rows
