"""The project's documents, taken apart: their examples, tables, headings and links."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"
MONITORING = CHECKOUT / "docs" / "monitoring.md"
OPERATING = CHECKOUT / "docs" / "operating.md"
ALGORITHM = CHECKOUT / "docs" / "algorithm.md"
APPLE_NODES = CHECKOUT / "docs" / "apple-nodes.md"
DOCUMENTS = (
    README,
    CHECKOUT / "CHANGELOG.md",
    CHECKOUT / "CONTRIBUTING.md",
    *sorted((CHECKOUT / "docs").glob("*.md")),
)

Table = list[list[str]]


@dataclass(frozen=True, slots=True)
class Example:
    """A fenced block.

    Args:
        document: where it stands.
        line: of its first line of text.
        kind: what follows the fence: the language, and how the tests treat it if not as it stands.
        text: what is in it.
    """

    document: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def examples(*kinds: str) -> list[Example]:
    """The examples of these kinds in all documents; of every kind if none is given."""
    found = [
        Example(document, token.map[0] + 2, token.info, token.content)
        for document in DOCUMENTS
        for token in tokens(document)
        if token.type == "fence" and token.map
    ]
    return [example for example in found if not kinds or example.kind in kinds]


def commands(example: Example) -> list[str]:
    """The commands of a shell example, one a line, without comments."""
    lines = example.text.replace("\\\n", " ").splitlines()
    return [" ".join(line.partition("#")[0].split()) for line in lines]


def tables(document: Path, *header: str) -> dict[str, Table]:
    """The rows of the tables whose first columns have these names, by the heading above each.

    A cell is what is written in it, without the backticks.
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
    """The rows of the one table whose first columns have these names."""
    (rows,) = tables(document, *header).values()
    return rows


def anchors(document: Path) -> set[str]:
    """What a link may say after its `#`: the headings, as GitHub spells them."""
    return {_anchor(heading) for heading in _headings(document)}


def links(document: Path) -> list[str]:
    """The targets of all links."""
    return [str(token.attrs["href"]) for token in _inline(document) if token.type == "link_open"]


def code_words(document: Path) -> list[str]:
    """What stands between backticks in the text."""
    return [token.content for token in _inline(document) if token.type == "code_inline"]


@cache
def tokens(document: Path) -> Sequence[Token]:
    """The document as markdown-it reads it."""
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
