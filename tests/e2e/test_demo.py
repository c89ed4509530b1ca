"""The demo: what it plants is what is found, no more and no less; what it breaks live is seen where it should be."""

import contextlib
import http.client
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import healthctl as healthctl_once
from tests.support.demo_lab import RunningLab, running_lab
from tests.support.process import Process, Row, daemon, healthctl, quiet_port
from tests.support.tcp import listening, port_of


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """`healthctl demo` at work, with a folder for temporary files of its own."""
    folder = tmp_path_factory.mktemp("demo")
    temporary = folder / "tmp"
    temporary.mkdir()
    port = quiet_port()
    arguments = ("demo", "--listen", f"127.0.0.1:{port}", "--break", "relay")
    with healthctl(folder, *arguments, port=port, env={"TMPDIR": str(temporary)}) as process:
        yield process


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A daemon that watches a lab whose time is 6 s ahead of this host's from the beginning."""
    with running_lab(tmp_path_factory.mktemp("skewed")) as lab:
        lab.plant("clock")
        with daemon(lab.fast_config()) as process:
            yield process


@pytest.fixture(scope="module", autouse=True)
def _both_begin_at_once(demo: Process, skewed: Process) -> None:
    """Let these two have their first ten seconds while other tests run."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[RunningLab]:
    """A lab of this test."""
    with running_lab(tmp_path) as running:
        yield running


def _named(rows: dict[str, Row]) -> dict[str, Row]:
    """Return the rows by id without the lab's ports, which differ from run to run."""
    return {re.sub(r":\d{4,5}$", "", row_id): row for row_id, row in rows.items()}


def test_check_finds_exactly_what_is_planted(lab: RunningLab) -> None:
    """`check` on the lab: a name without address, a refused port and nothing else is critical; exit code 2."""
    done = healthctl_once("check", "--config", str(lab.fast_config()), "-o", "json")
    assert (done.returncode, done.stderr) == (2, "")
    rows = _named({row["id"]: row for row in json.loads(done.stdout)["checks"]})
    verdicts = {row_id: (row["status"], row["reason"], row["event"]) for row_id, row in rows.items()}
    fine, reachable = ("ok", None, None), ("ok", None, "none")
    assert verdicts == {
        "clock:system": fine,
        "control_plane:acme.demo.test": fine,
        "relay:relay.demo.test": fine,
        "nat:udp": fine,
        "resolver:127.0.0.1": fine,
        "dns:billing.corp.internal": reachable,
        "dns:hr.corp.internal": ("critical", "nxdomain", "dns_lookup_error"),
        "dns:orders-db.corp.internal": reachable,
        "dns:reports.corp.internal": reachable,
        "dns:wiki.corp.internal": reachable,
        "tcp:*.corp.internal": ("skipped", "not_probeable", None),
        "tcp:billing.corp.internal": ("critical", "refused", "unable_to_connect"),
        "tcp:hr.corp.internal:443": ("skipped", "dependency_failed", None),
        "tcp:orders-db.corp.internal": reachable,
        "tcp:reports.corp.internal": reachable,
        "tcp:wiki.corp.internal": reachable,
        "connector:process": ("skipped", "not_probeable", None),
        "provider:status.demo.test": ("skipped", "not_probeable", None),
    }
    assert rows["dns:reports.corp.internal"]["measurements"]["lookup_seconds"] > 1, "the slow name is seen to be slow"


PLANTED = {"dns:hr.corp.internal": ("failing", "nxdomain"), "tcp:billing.corp.internal": ("failing", "refused")}


def _trouble(process: Process) -> dict[str, tuple[str, str | None]]:
    """Return the rows that are not well now, by state (warnings by status), without what was never to be probed."""
    return {
        row_id: (row["state"] if row["status"] == "critical" else row["status"], row["reason"])
        for row_id, row in _named(process.rows()).items()
        if row["status"] not in ("ok", "skipped")
    }


STEPS: tuple[tuple[str, dict[str, tuple[str, str]]], ...] = (
    ("resource", {"tcp:orders-db.corp.internal": ("failing", "refused")}),
    ("relay", {"relay:relay.demo.test": ("failing", "refused")}),
    ("udp", {"nat:udp": ("warning", "udp_blocked")}),
    ("tls", {"control_plane:acme.demo.test": ("failing", "tls_untrusted")}),
    ("controller", {"control_plane:acme.demo.test": ("failing", "refused")}),
)


def test_each_fault_is_seen_where_it_is_and_nowhere_else(lab: RunningLab) -> None:
    """Each fault, planted while the daemon watches, makes the right row failing with the right reason, and no other."""
    with daemon(lab.fast_config()) as process:
        watched = {*PLANTED, *(row_id for _, change in STEPS for row_id in change)}
        process.until(lambda: watched <= _named(process.rows()).keys(), f"looked at {watched}")
        process.until(lambda: _trouble(process) == PLANTED, f"only {PLANTED}")
        expected: dict[str, Any] = dict(PLANTED)
        for fault, change in STEPS:
            lab.plant(fault)
            expected |= change
            process.until(lambda: _trouble(process) == expected, f"{expected} after {fault}")  # noqa: B023


def test_silent_nameserver_carries_the_blame(lab: RunningLab) -> None:
    """With the one nameserver silent each name fails because of it, and no port is accused: it was not asked."""
    with daemon(lab.fast_config(dns_timeout="500ms")) as process:
        names = {f"{name}.corp.internal" for name in ("orders-db", "wiki", "reports", "billing", "hr")}
        rows = {f"{check}:{name}" for check in ("dns", "tcp") for name in names} - {"tcp:hr.corp.internal"}
        process.until(lambda: rows <= _named(process.rows()).keys(), f"looked at {rows}")
        lab.plant("nameserver")

        def blamed() -> bool:
            found = _named(process.rows())
            return all(
                (row["status"], row["reason"], row["state"]) == ("critical", "timeout", "suppressed")
                and row["suppressed_by"].startswith("NameserverDown:127.0.0.1")
                for row in (found[f"dns:{name}"] for name in names)
            ) and all(
                (row["reason"], row["suppressed_by"]) == ("dependency_failed", f"dns:{row['target'].split(':')[0]}")
                for row in found.values()
                if row["check"] == "tcp" and row["target"] != "*.corp.internal"
            )

        process.until(blamed, "each name suppressed by the nameserver and each port by its name")
        assert _named(process.rows())["resolver:127.0.0.1"]["state"] == "failing"


def test_skewed_time_is_seen(skewed: Process) -> None:
    """Time source and Controller 6 s ahead of this host: clock critical, and negative, as this host is behind."""
    skewed.until_ready()
    row = skewed.rows()["clock:system"]
    assert (row["status"], row["reason"], row["state"]) == ("critical", "offset_exceeded", "pending")
    assert row["measurements"]["offset_seconds"] == pytest.approx(-6, abs=0.5)
    assert skewed.metric("connector_health_clock_offset_seconds")[""] == pytest.approx(-6, abs=0.5)
    skewed.until(lambda: set(_trouble(skewed)) == {"clock:system", *PLANTED}, "critical about the planted faults alone")


def test_once_prints_the_table() -> None:
    """`demo --once`: the faults planted, the table, exit code 0."""
    done = healthctl_once("demo", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert "hr.corp.internal has no address" in done.stdout
    assert "SUMMARY  CRITICAL: 2 of 6 Resources would fail now" in done.stdout


def test_unknown_fault_is_3_with_the_list() -> None:
    """`demo --break nonsense`: exit code 3, and the faults that there are."""
    done = healthctl_once("demo", "--break", "nonsense")
    assert (done.returncode, done.stdout) == (3, "")
    for fault in ("clock", "nameserver", "controller", "tls", "relay", "udp", "resource"):
        assert re.search(rf"^{fault} ", done.stderr, re.MULTILINE), done.stderr
    assert "--break: unknown fault 'nonsense'" in done.stderr
    assert healthctl_once("demo", "--break", "list").returncode == 0


@pytest.mark.parametrize("listen", ["taken", "nonsense", "127.0.0.1:99999", "health.test:19440"])
def test_page_without_a_place_is_3_with_one_line(listen: str) -> None:
    """`demo` where the port is taken (a daemon runs on this host), or is none: exit code 3, no traceback."""
    with contextlib.ExitStack() as stack:
        if listen == "taken":
            listen = f"127.0.0.1:{port_of(stack.enter_context(listening()))}"
        done = healthctl_once("demo", "--listen", listen)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "--listen" in done.stderr
    assert all(line.startswith("healthctl: ") for line in done.stderr.splitlines()), done.stderr


def test_demo_shows_serves_breaks_and_leaves_nothing(demo: Process) -> None:
    """`demo`: the table, the page, the fault seen live; Ctrl-C ends it within 2 s with 0 and no file is left."""
    demo.until(lambda: "SUMMARY  CRITICAL: 2 of 6" in demo.stdout, "printing the table")
    demo.until(lambda: "Now broken: the Relay refuses connections" in demo.stdout, "saying what it broke")
    page = demo.get("/")
    assert (page.status, "hr.corp.internal" in page.text) == (200, True)
    demo.until(lambda: re.search(r"^FAILING +relay:relay\.demo\.test", demo.stdout, re.MULTILINE), "telling the fault")
    temporary = demo.stdout_file.parent / "tmp"
    (folder,) = temporary.iterdir()
    assert str(folder / "config.yaml") in demo.stdout
    code, seconds = demo.end(signal.SIGINT)
    assert (code, demo.log) == (0, "")
    assert seconds < 2
    assert list(temporary.iterdir()) == []
    with pytest.raises((OSError, http.client.HTTPException)):
        demo.get("/-/healthy")
