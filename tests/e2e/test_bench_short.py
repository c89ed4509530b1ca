"""The short form of the published benchmark: whole processes side by side, each ratio within twice its target."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import require

ROOT = Path(__file__).resolve().parents[2]
BOUND_S = 55.0
WANTED = {
    "daemon, TCP connect / C epoll loop, TCP connect", "daemon, TCP connect / blackbox_exporter, tcp",
    "daemon, TCP half_open / C epoll loop, TCP connect", "daemon, TCP half_open / blackbox_exporter, tcp",
    "daemon, DNS question / blackbox_exporter, dns",
}  # fmt: skip


def _beyond(file: Path) -> dict[str, object]:
    """Run it; return the ratios that are beyond their loose target. All must have been measured."""
    argv = [sys.executable, "-m", "bench", "--short", "--json", str(file)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=BOUND_S)
    assert done.returncode in {0, 1}, done.stderr
    rows = {row["what"]: row for row in json.loads(file.read_text())["rows"] if " / " in row["what"]}
    assert set(rows) == WANTED
    assert [what for what, row in rows.items() if row["value"] is None] == [], done.stdout
    return {what: row["value"] for what, row in rows.items() if not row["met"]}


@pytest.mark.timeout(2 * BOUND_S + 10)
def test_probes_cost_what_was_promised_twice_over(tmp_path: Path) -> None:
    """CPU of connect, half_open and DNS probes against blackbox_exporter and a C loop: none beyond twice its target.

    Ratios of CPU time within one run. A run that exceeds them is looked at once more: other work on the machine may
    fall on one prober alone, a dearer probe is dear both times.
    """
    require("root", "ip", "cc", "unbound", "prometheus", "prometheus-blackbox-exporter")
    over = _beyond(tmp_path / "first.json")
    assert not (over and (over := _beyond(tmp_path / "second.json"))), over
