"""Check the wording of documents and of Python code: `python -m tests.prose PATH…`.

The linter proselint checks its own rules and the phrases in `PREFERRED`. It reads the text of Markdown
outside of code, and the comments and strings of Python files, which include docstrings and messages. In
Markdown, each line of a paragraph is one sentence.
"""

import argparse
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from proselint.checks import __register__ as own_checks
from proselint.config import DEFAULT, Config
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckFlags, Padding, types
from proselint.tools import LintFile

PREFERRED = {
    r"told\b": "reported, passed or given",
    r"anew\b": "again",
    r"mend(?:s|ed|ing)?\b": "fix",
    r"for good\b": "permanently",
    r"in all[.,;:)]": "total",
    r"held against\b": "compared with or checked against",
    r"(?:take|takes|taken|taking|took) up\b": "apply",
    r"(?:go|goes|going|went) on with\b": "keep or continue",
    r"(?:come|comes|came) to\b": "resolve to",
    r"stands? (?:[a-eg-z]\w*|there)\b": "be",
    r"(?:is|are|be) had (?:from|by|the)\b": "compute from",
    r"which (?:is|are) none\b": "invalid",
    r"(?:that|which) cannot be[.,;:)]": "invalid",
    r"made(?: |-)up\b": "synthetic",
    r"as is configured\b": "default",
    r"the least\b": "the lowest",
    r"the most(?: (?:that|of|a|in|it)\b|[.,;:)])": "the highest",
    r"at the most\b": "at most",
    r"(?:whoever|whatever|wherever)\b": "nothing: leave it out",
}
"""What to write instead of a phrase; a space in a phrase is any white space, a line of a comment included."""
GAP = r"[\s#]+"
CODE_OF_MARKDOWN = re.compile(r"^ *```.*?^ *```|`[^`\n]*`|\]\([^)\n]*\)", re.DOTALL | re.MULTILINE)
ENDED = re.compile(r"[.!?:;][)*\"]*$")
TWO_SENTENCES = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!vs)(?<!\d)[.!?][)\"]* +[\[*\"(]*[A-Z]")
PROSE_TOKENS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
INSERTED = re.compile(r"\{[\w.]+\}")
"""A name in an f-string, which Python 3.11 does not split."""
NOT_CHECKED = {
    "misc.phrasal_adjectives": False,  # it takes "multiply-accumulate" for an adverb
    "lexical_illusions": False,  # it takes a heading and the first words below for a repetition
    "typography": False,  # curly quotes
    "weasel_words": False,  # "very"
}
SETTINGS = Config(max_errors=10_000, checks=NOT_CHECKED | {**DEFAULT["checks"], **NOT_CHECKED, "prose": True})


def register_rules() -> None:
    """Add the phrases to the checks of proselint."""
    phrases = {rf"\b{phrase}".replace(" ", GAP): better for phrase, better in PREFERRED.items()}
    CheckRegistry().register_many(own_checks)
    CheckRegistry().register(
        Check(
            check_type=types.PreferredForms(items=phrases, padding=Padding.RAW),
            path="prose",
            message="instead of '{1}', write {0}",
            flags=CheckFlags(allow_quotes=True),
        )
    )


def prose_of(path: Path) -> str:
    """Return the text of a file with spaces in place of its code, so that places stay the same."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return without_code(text, " ")
    return prose_of_python(text) if path.suffix == ".py" else text


def without_code(markdown: str, filler: str) -> str:
    """Return a document with a filler for each character of code and of the targets of links."""
    return CODE_OF_MARKDOWN.sub(lambda code: re.sub(r"\S", filler, code[0]), markdown)


def prose_of_python(source: str) -> str:
    """Return the comments and strings of a module, each at its place."""
    lines = [" " * len(line) for line in source.splitlines()]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in PROSE_TOKENS:
            column = token.start[1]
            text = INSERTED.sub(lambda code: " " * len(code[0]), token.string)
            for row, part in enumerate(text.splitlines(), start=token.start[0] - 1):
                lines[row] = lines[row][:column] + part + lines[row][column + len(part) :]
                column = 0
    return "\n".join(lines)


def paragraphs(markdown: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line, from 0, and the lines of each paragraph; `X` stands for code."""
    lines = without_code(markdown, "X").splitlines()
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "paragraph_open" and token.map:
            yield token.map[0], lines[slice(*token.map)]


def misplaced_breaks(markdown: str) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the flaw of each line that is not one sentence."""
    for first, lines in paragraphs(markdown):
        for number, line in enumerate(lines, start=first + 1):
            if TWO_SENTENCES.search(line):
                yield number, "more than one sentence in a line"
            if number < first + len(lines) and not ENDED.search(line):
                yield number, "a sentence continues in the next line"


def findings(path: Path) -> Iterator[str]:
    """Yield a line for each flaw of a file."""
    if path.suffix == ".md":
        for line, flaw in misplaced_breaks(path.read_text(encoding="utf-8")):
            yield f"{path}:{line}: {flaw}"
    for found in LintFile(source=path, content=prose_of(path)).lint(SETTINGS):
        line, column = found.pos
        message = " ".join(found.check_result.message.replace("#", " ").split())
        yield f"{path}:{line}:{column}: {message}"


def files(paths: list[str]) -> list[Path]:
    """Return the files under the paths that git tracks or would add, in order."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")
    known = (".md", ".py", ".pbtxt", ".yml", ".json", ".toml")
    return [Path(name) for name in sorted(set(names)) if Path(name).suffix in known and Path(name).exists()]


def main() -> None:
    """Print the findings; exit with status 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", help="files and folders of the checkout")
    register_rules()
    found = [line for path in files(parser.parse_args().paths) for line in findings(path)]
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
