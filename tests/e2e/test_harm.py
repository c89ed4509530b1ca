"""Real servers that a probe harms: the harm is shown first, and then that a half-open probe does none of it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import mariadb, postgres, sshd
from tests.support.cli import environment
from tests.support.harm_lab import HarmLab, harm_lab
from tests.support.process import HEALTHCTL, quiet_config
from tests.support.servers import wait_until

TRIES = 5
PROBES = 1000
UNHEARD = {"accepted": PROBES, "SYN": PROBES, "ACK": 0}
"""A packet for each probe arrived, the answer was understood, and no connection came of it."""
LIMIT_S = 30.0


@pytest.fixture(scope="module")
def lab() -> Iterator[HarmLab]:
    """All servers and both hosts, once for this file."""
    with harm_lab() as made:
        yield made


@pytest.fixture(autouse=True)
def _nobody_is_blocked(lab: HarmLab) -> None:
    lab.mariadb.forget()


def logged(lines: Callable[[], list[str]], visit: Callable[[], None], sign: str, visits: int) -> list[str]:
    """Visit a server; wait until each visit has been logged by `sign`; return every line that it has logged since."""
    before = len(lines())
    for _ in range(visits):
        visit()
    wait_until(
        lambda: sum(sign in line for line in lines()[before:]) >= visits, lambda: True, lambda: f"{lines()[before:]}"
    )
    return lines()[before:]


def check(lab: HarmLab, folder: Path, more: str) -> dict[str, object]:
    """Return the row of the database's port as `healthctl check` on the prober's host sees it."""
    resource = f"resources:\n  - {{name: DB, address: {lab.mariadb.address}, tcp: [{mariadb.PORT}]}}\n"
    config = quiet_config(folder, resource + more)
    command = [*lab.before, *HEALTHCTL, "check", "--config", str(config), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment())
    assert done.stdout, done.stderr
    rows: list[dict[str, object]] = json.loads(done.stdout)["checks"]
    return next(row for row in rows if row["check"] == "tcp")


def test_connect_and_close_blocks_the_host_at_mariadb(lab: HarmLab) -> None:
    """The control: a few connections that say nothing, and a user's login from that host is refused."""
    for _ in range(TRIES):
        lab.open_and_close(mariadb.PORT)

    def blocked() -> bool:  # those that it was already talking to count beyond its limit
        cache = lab.mariadb.host_cache()
        return [row[:2] for row in cache] == [[lab.address, "YES"]] and int(cache[0][2]) >= mariadb.MAX_ERRORS

    wait_until(blocked, lambda: True, lambda: f"host_cache: {lab.mariadb.host_cache()}")
    assert "is blocked because of many connection errors" in lab.mariadb.login(lab.before)


def test_a_thousand_half_open_probes_leave_mariadb_as_it_was(lab: HarmLab) -> None:
    """All are accepted, the database heard of none of them, its cache of hosts is empty, and the user gets in."""
    connections, aborted = lab.mariadb.counter("Connections"), lab.mariadb.counter("Aborted_connects")
    assert lab.half_open(mariadb.PORT, PROBES) == UNHEARD
    assert lab.mariadb.host_cache() == []
    assert lab.mariadb.login(lab.before) == "1"
    assert lab.mariadb.host_cache() == [[lab.address, "YES", "0"]]
    asked_by_us = 5  # both counters, the cache twice, and the login; the last question counts itself
    assert lab.mariadb.counter("Connections") - connections == asked_by_us
    assert lab.mariadb.counter("Aborted_connects") == aborted


def test_postgresql_logs_a_reset_but_no_half_open_probe(lab: HarmLab) -> None:
    """At its default level it logs each client that leaves with a reset; of 1,000 half-open probes it logs nothing."""
    database = lab.postgres

    def visit() -> None:
        lab.open_and_close(postgres.PORT, reset=True)

    assert len(logged(database.lines, visit, "could not receive data from client", TRIES)) == TRIES
    before = database.lines()
    assert lab.half_open(postgres.PORT, PROBES) == UNHEARD
    logged(database.lines, visit, "could not receive data from client", 1)  # what came before it is logged by now
    assert len(database.lines()) == len(before) + 1
    assert database.login(lab.before) == "1"


def test_sshd_logs_each_connection_but_no_half_open_probe(lab: HarmLab) -> None:
    """At its default level it logs each client that leaves without a word, and none of 1,000 half-open probes."""

    def visit() -> None:
        lab.open_and_close(sshd.PORT)

    sign = f"Connection closed by {lab.address}"
    assert len(logged(lab.sshd.lines, visit, sign, TRIES)) >= TRIES
    before = lab.sshd.lines()
    assert lab.half_open(sshd.PORT, PROBES) == UNHEARD
    logged(lab.sshd.lines, visit, sign, 1)  # what came before it is logged by now
    assert sum(sign in line for line in lab.sshd.lines()[len(before) :]) == 1
    assert lab.sshd.greets(lab.prober.entered)


def test_connect_never_touches_the_database(lab: HarmLab, tmp_path: Path) -> None:
    """`method: connect` does not override what protects MySQL's port: it is left alone, and the row says so."""
    connections = lab.mariadb.counter("Connections")
    row = check(lab, tmp_path, "probing: {method: connect}\n")
    assert (row["status"], row["reason"]) == ("skipped", "not_allowed")
    assert lab.mariadb.counter("Connections") - connections == 1, "only our own question"
    assert lab.mariadb.host_cache() == []


def test_check_looks_at_the_database_half_open(lab: HarmLab, tmp_path: Path) -> None:
    """Without any setting `healthctl check` of an administrator looks at MySQL's port, and the database never knows."""
    connections = lab.mariadb.counter("Connections")
    row = check(lab, tmp_path, "")
    assert (row["status"], row["event"]) == ("ok", "none"), row
    assert lab.mariadb.counter("Connections") - connections == 1, "only our own question"
    assert lab.mariadb.host_cache() == []
