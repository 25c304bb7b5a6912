"""The check of wording finds a phrase in prose, at its place, and leaves code alone."""

from pathlib import Path

import pytest

from tests import prose


@pytest.fixture(scope="module", autouse=True)
def rules() -> None:
    prose.register_rules()


def found(folder: Path, name: str, text: str) -> list[str]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return [line.removeprefix(f"{path}:") for line in prose.findings(path)]


@pytest.mark.parametrize(
    ("phrase", "better"),
    [
        ("is told", "reported, passed or given"),
        ("Anew", "again"),
        ("for good", "permanently"),
        ("40 in all.", "total"),
        ("was held against", "compared with or checked against"),
        ("goes on with", "keep or continue"),
        ("a change is taken up", "apply"),
        ("it stands there", "be"),
        ("a value that cannot be,", "invalid"),
        ("a made-up time", "synthetic"),
        ("the least of them", "the lowest"),
        ("at the most", "at most"),
        ("whoever", "nothing: leave it out"),
    ],
)
def test_a_phrase_is_found_with_a_better_one(tmp_path: Path, phrase: str, better: str) -> None:
    (line,) = found(tmp_path, "page.md", f"A line.\nHere {phrase}\n")
    assert line.startswith("2:")
    assert line.endswith(f", write {better}")


@pytest.mark.parametrize("text", ["a device that it stands for", "in all documents", "the most useful one"])
def test_a_phrase_with_another_meaning_is_not_found(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, "page.md", f"{text}\n") == []


def test_code_and_links_of_a_page_are_not_read(tmp_path: Path) -> None:
    assert found(tmp_path, "page.md", "A `told` word, [a link](told.md).\n\n```sh\ntold\n```\n") == []


def test_comments_docstrings_and_messages_of_a_module_are_read_and_its_names_are_not(tmp_path: Path) -> None:
    source = '"""Once\n    anew."""\ntold = 1  # it is told\nraise ValueError(f"found {told}, for good")\n'
    assert [line.partition(": ")[0] for line in found(tmp_path, "module.py", source)] == [
        "2:5",
        "3:19",
        "4:34",
    ]


def test_a_phrase_that_continues_in_the_next_comment_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, "module.py", "# gone for\n# good\n") == [
        "1:8: instead of 'for good', write permanently"
    ]


@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        ("One sentence.\nAnother one, e.g. This.\n", []),
        ("- **Lead.** One sentence.\n  `Another` one.\n\n1. An item.\n", []),
        ("| a. B | c |\n|---|---|\n| d. E | f |\n", []),
        ("One sentence. Another one.\n", ["1: more than one sentence in a line"]),
        ("One `code`. [Another](x) one.\n", ["1: more than one sentence in a line"]),
        ("Once more.\n\nOne sentence\nin two lines.\n", ["3: a sentence continues in the next line"]),
    ],
)
def test_each_line_of_a_paragraph_is_one_sentence(tmp_path: Path, text: str, flaws: list[str]) -> None:
    assert found(tmp_path, "page.md", text) == flaws


@pytest.mark.parametrize("name", ["page.md", "module.py"])
def test_an_empty_file_has_no_flaw(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, name, "") == []
