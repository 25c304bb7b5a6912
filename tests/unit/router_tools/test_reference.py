"""What is generated from the code is up to date, and says something of every setting."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from router_backend.config.schema import RouterParameters
from router_backend.typed_load import fields_of
from router_tools.reference import TABLES, generate, meanings, settings_table
from tests.documents import CHECKOUT

GENERATED = generate(CHECKOUT)


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    message = "run `python -m router_tools.reference`"
    assert path.read_text(encoding="utf-8") == GENERATED[path], message


KINDS = [kind for sections in TABLES.values() for _, _, kind in sections]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_setting_has_a_meaning(kind: type) -> None:
    words = meanings(kind)
    known = fields(kind) if is_dataclass(kind) else fields_of(kind).values()
    assert [each.name for each in known if not words.get(each.name)] == []


def test_every_table_of_settings_is_in_one_document() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "docs").rglob("*.md"))
    assert {name: texts.count(f"<!-- generated: {name} -->") for name in TABLES} == dict.fromkeys(TABLES, 1)


def test_a_table_has_names_defaults_and_meanings() -> None:
    lines = settings_table("parameter", RouterParameters).splitlines()
    assert lines[0] == "| parameter | default | meaning |"
    assert lines[2].startswith("| `variants` | required | the models behind the router")
    assert "| `warmup_batch_sizes` | `1,1,8,8` | the batches" in "\n".join(lines)
    assert "| `metrics` | `true` | show" in "\n".join(lines)
    assert "| `refuse_late` | `false` | reject" in "\n".join(lines)
    assert "| `max_latency_ms` | none | the deadline" in "\n".join(lines)


def test_the_messages_have_their_advice() -> None:
    messages = (CHECKOUT / "docs" / "operate" / "messages.md").read_text(encoding="utf-8")
    assert "| `goal: expected a policy or a goal, found both, '…' and '…'` | remove one |" in messages
    assert "| UNAVAILABLE | send fewer at a time, or raise `max_in_flight` |" in messages
