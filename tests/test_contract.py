"""Every verdict rule of the contract, row by row: what each sentence says is what is seen."""

import asyncio
import contextlib
import re
from pathlib import Path

import pytest

from tests.contract import clock, connector, harm, learned, names, path, resolver, tcp
from tests.contract.bench import Bench, Row

RULES = (Path(__file__).parent / "contract" / "rules.md").read_text("utf-8")
ROWS = [*clock.ROWS, *names.ROWS, *resolver.ROWS, *tcp.ROWS, *harm.ROWS, *path.ROWS, *connector.ROWS, *learned.ROWS]
END_OF_SENTENCE = re.compile(r"(?<=[a-z)`0-9])\.\s+(?=[A-Z`*])")


def _plain(text: str) -> str:
    """Return text without its line breaks."""
    return " ".join(text.split())


def _sentences() -> list[str]:
    """Return the sentences of the rules; the name of a rule belongs to its first."""
    rules = re.split(r"^- ", RULES, flags=re.MULTILINE)[1:]
    return [_plain(sentence) for rule in rules for sentence in END_OF_SENTENCE.split(rule)]


QUICK, WAITING = [row for row in ROWS if not row.waits], [row for row in ROWS if row.waits]


@pytest.mark.parametrize("row", QUICK, ids=[row.quote for row in QUICK])
async def test_rule(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the contract says of a verdict is what is seen."""
    async with contextlib.AsyncExitStack() as stack:
        assert await row.scenario(Bench(tmp_path, stack, monkeypatch)) == row.expected


async def test_rules_that_wait_for_a_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the contract says of a clock that shows whole seconds is what is seen; nothing but time passes meanwhile."""

    async def look(row: Row, folder: Path) -> object:
        folder.mkdir()
        async with contextlib.AsyncExitStack() as stack:
            return await row.scenario(Bench(folder, stack, monkeypatch))

    async with asyncio.TaskGroup() as group:
        looks = {row.quote: group.create_task(look(row, tmp_path / str(n))) for n, row in enumerate(WAITING)}
    assert {quote: each.result() for quote, each in looks.items()} == {row.quote: row.expected for row in WAITING}


def test_rows_quote_the_rules() -> None:
    """Each row stands for words that are in the rules, and no two for the same."""
    text = _plain(RULES)
    assert [row.quote for row in ROWS if row.quote not in text] == []
    assert len({row.quote for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("sentence", _sentences(), ids=lambda sentence: sentence[:60])
def test_every_sentence_has_a_row(sentence: str) -> None:
    """No sentence of the rules is without a row."""
    assert any(row.quote in sentence for row in ROWS)
