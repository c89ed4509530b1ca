"""What was learned is read back from a file that anybody may have written."""

import contextlib
import json
import math
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.model import Json
from daemon.config.load import parse_config
from daemon.learning import RELAY_KEYS, SAMPLE_KEYS, Learning
from daemon.observed import MAX_LEARNED_RELAYS, MAX_LEARNED_SAMPLES
from daemon.seen import FORGET_S
from tests.daemon.test_store import opened

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
CONFIG = parse_config(
    b'resources: [{name: Corp, address: "*.corp.internal"}, {name: Net, address: 10.0.0.0/8, tcp: [443]}]', "test.yaml"
).config
GOOD: dict[str, Json] = {
    "group": "*.corp.internal", "address": "db.corp.internal", "port": 5432, "first_at": NOON - 90_000,
    "last_at": NOON - 10, "days": 2, "count": 7,
}  # fmt: skip

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=300), st.lists(st.integers(), max_size=3),
    st.sampled_from([10**400, -1, 0, 1, 2, 443, 5432, 65536, NOON, NOON + 1e9, NOON - FORGET_S, "*.corp.internal", "",
                     "10.0.0.0/8", "10.0.0.1", "127.0.0.1", "db.corp.internal", "198.51.100.7", "\x00", "a b"]),
)  # fmt: skip
ENTRIES = st.one_of(
    VALUES,
    st.dictionaries(st.sampled_from([*GOOD, "more"]), VALUES),
    st.dictionaries(st.sampled_from(list(GOOD)), VALUES, max_size=2).map(lambda changed: GOOD | changed),
)
KEYS = st.sampled_from([f"{SAMPLE_KEYS}0", f"{SAMPLE_KEYS}1", f"{SAMPLE_KEYS}199", f"{SAMPLE_KEYS}200",
                        f"{RELAY_KEYS}0", f"{RELAY_KEYS}15", "learned:other"])  # fmt: skip


def _restored(kept: dict[str, Json]) -> Learning:
    def remember(key: str, value: Json) -> None:
        assert value is None, "restoring only takes out"
        del kept[key]

    return Learning(kept.get, remember, CONFIG, lambda: NOON)


def _sample(**changed: Json) -> dict[str, Json]:
    return {f"{SAMPLE_KEYS}3": GOOD | changed}


def test_a_good_entry_comes_back() -> None:
    """What we could have written is taken as it is."""
    kept = _sample()
    (sample,) = _restored(kept).learned.samples
    assert (sample.address, sample.port, sample.days, sample.count, sample.active) == (
        "db.corp.internal", 5432, 2, 7, True,
    )  # fmt: skip
    assert len(kept) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"group": "*.other.internal"},
        {"group": 5},
        {"group": "10.0.0.0/8"},
        {"address": "DB.corp.internal"},
        {"address": "db.corp.internal\n"},
        {"address": "127.0.0.1"},
        {"address": ""},
        {"address": None},
        {"port": True},
        {"port": "5432"},
        {"port": 0},
        {"port": 65536},
        {"port": 5432.0},
        {"first_at": "yesterday"},
        {"first_at": NOON - 5},
        {"first_at": math.nan},
        {"first_at": False},
        {"last_at": NOON - FORGET_S - 1},
        {"last_at": math.inf},
        {"last_at": -1},
        {"days": 3},
        {"days": 0},
        {"days": 10**400},
        {"days": 2, "count": 1},
        {"count": 10**13},
        {"count": [7]},
    ],
)
def test_an_entry_that_we_could_not_have_written_is_thrown_away(changed: dict[str, Json]) -> None:
    """Each field is checked; an entry with one that can't be is neither taken nor kept."""
    kept = _sample(**changed)
    assert _restored(kept).learned.samples == ()
    assert kept == {}


def test_doubles_are_thrown_away() -> None:
    """An endpoint is kept once, however often the file has it."""
    kept: dict[str, Json] = {f"{SAMPLE_KEYS}{slot}": GOOD for slot in range(MAX_LEARNED_SAMPLES)}
    assert len(_restored(kept).learned.samples) == 1
    assert len(kept) == 1


def test_a_time_ahead_of_our_clock_is_now() -> None:
    """A file from a host whose clock was ahead does not keep entries alive for ever."""
    (sample,) = _restored(_sample(last_at=NOON + 1e8)).learned.samples
    assert sample.last_at == NOON


async def test_a_value_nested_without_end_is_no_value(tmp_path: Path) -> None:
    """What the JSON reader can't follow costs that value, not the start."""
    path = tmp_path / "state.db"
    async with opened(path) as store:
        store.remember(f"{SAMPLE_KEYS}0", GOOD)
        store.remember(f"{SAMPLE_KEYS}1", GOOD | {"port": 443})
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        (table,) = file.execute("select name from sqlite_master where name like 'baseline%'").fetchone()
        file.execute(f"update {table} set value = ? where key = ?", ("[" * 100_000, f"{SAMPLE_KEYS}0"))
    async with opened(path) as store:
        learning = Learning(store.recall, store.remember, CONFIG, lambda: NOON)
        assert [sample.port for sample in learning.learned.samples] == [443]


@given(st.dictionaries(KEYS, ENTRIES))
@settings(max_examples=400, deadline=None)
def test_whatever_the_file_holds(kept: dict[str, Json]) -> None:
    """No content of the file breaks the start, exceeds the bounds, or lets anything in that the rules forbid."""
    learning = _restored(kept)
    learned = learning.learned
    assert len(learned.samples) <= MAX_LEARNED_SAMPLES
    assert len(learned.relays) <= MAX_LEARNED_RELAYS
    for sample in learned.samples:
        assert sample.rule in ("*.corp.internal", "10.0.0.0/8")
        assert 1 <= sample.port <= 65535
        assert 0 <= sample.first_at <= sample.last_at <= NOON
        assert sample.last_at >= NOON - FORGET_S
        assert not sample.address.startswith("127.")
    learning.tick()
    learning.flush()
    json.dumps(kept.get(f"{SAMPLE_KEYS}0"))
