"""The benchmark's own arithmetic: what it makes of counters, histograms and rounds, and what it calls met."""

import json
import re
import socket
import struct
from pathlib import Path

import pytest

from bench.contestants import Cost, Sample
from bench.exposed import gained, parse, quantile, total
from bench.ours import Setup, name_of, ports_of
from bench.place import NotMeasuredError
from bench.probes import CONTESTANTS, RATIOS, SHORT_GROUPS, rows
from bench.startup import is_syn
from bench.table import Row, as_json, as_markdown, as_text, into, missing_row, ratio_row
from daemon.config.load import parse_config

BEFORE = """# TYPE x_lag_seconds histogram
x_lag_seconds_bucket{le="0.1"} 10
x_lag_seconds_bucket{le="0.5"} 10
x_lag_seconds_bucket{le="+Inf"} 10
x_checks_total{check="tcp"} 5
"""
AFTER = """x_lag_seconds_bucket{le="0.1"} 100
x_lag_seconds_bucket{le="0.5"} 110
x_lag_seconds_bucket{le="+Inf"} 110
x_checks_total{check="tcp"} 25
x_checks_total{check="dns"} 3
"""


def test_only_what_was_counted_meanwhile_is_in_a_quantile() -> None:
    """Observations before the window count nowhere; within a bucket they lie evenly, as Prometheus takes them."""
    late = gained(parse(BEFORE), parse(AFTER), "x_lag_seconds")
    assert late == {0.1: 90.0, 0.5: 100.0, float("inf"): 100.0}
    assert [quantile(late, share) for share in (0.45, 0.9, 0.95)] == pytest.approx([0.05, 0.1, 0.3])
    assert quantile({0.1: 0.0, float("inf"): 5.0}, 0.99) == 0.1, "beyond the last bound nothing is known"
    assert quantile({}, 0.99) == 0.0


def test_series_are_summed_by_label() -> None:
    """A metric is the sum of its series; a longer name is another metric."""
    series = parse(AFTER, "x_checks")
    assert total(series, "x_checks_total") == 28
    assert total(series, "x_checks_total", 'check="tcp"') == 20 + 5
    assert total(series, "x_checks") == 0


def test_a_cost_is_cpu_over_probes() -> None:
    """CPU of a window over its probes, in microseconds; a window without probes has none."""
    cost = Cost.between(Sample(100, 1.0, 5.0, 10), Sample(600, 1.05, 5.1, 1010))
    assert (cost.probes, cost.cpu_us, cost.beside_us, cost.datagrams) == pytest.approx((500, 100.0, 200.0, 2.0))
    with pytest.raises(NotMeasuredError):
        Cost.between(Sample(7, 1.0), Sample(7, 2.0))


def test_ratios_are_of_the_same_round() -> None:
    """The median of the rounds' ratios: a round in which all was slow changes nothing."""
    row = ratio_row("b", "a / b", [10.0, 90.0, 12.0], [40.0, 360.0, 40.0], 0.25)
    assert (row.value, row.met) == (0.25, True)


def test_met_missed_and_not_measured() -> None:
    """A figure at its target meets it; without a figure nothing is met or missed, and the reason is in the table."""
    at, above = (Row(bench="b", what="w", unit="%", value=value, limit=25.0) for value in (25.0, 25.1))
    gone = missing_row("b", "w", "needs root")
    assert (at.met, above.met, gone.met) == (True, False, None)
    text = as_text([at, above, gone])
    assert re.findall(r"met|missed|not measured: needs root", text) == ["met", "missed", "not measured: needs root"]
    assert as_markdown([at]).splitlines()[-1] == "| w | 25 % | ≤ 25 % | met |"
    assert [row["met"] for row in json.loads(as_json({"cores": 2}, [at, above, gone]))["rows"]] == [True, False, None]


def test_a_page_gets_the_new_table_and_keeps_its_text() -> None:
    """Only what is between the two lines of this part is replaced; a page without them is an error, not appended to."""
    row = Row(bench="b", what="w", unit="%", value=25.0)
    page = "before\n<!-- bench: a -->\nold a\n<!-- end -->\nbetween\n<!-- bench: b -->\nold b\n<!-- end -->\nafter\n"
    assert into(page, "b", as_markdown([row])) == page.replace("old b", as_markdown([row]))
    with pytest.raises(ValueError, match="no place for c"):
        into(page, "c", "")


def test_every_target_is_in_the_table() -> None:
    """Each contestant has a row, each promise a ratio; who could not run takes only its own ratios along."""
    costs = {name: Cost(100, 10.0, 1.0, 2.0) for name in CONTESTANTS}
    half_open = "daemon, TCP half_open"
    without = {name: cost for name, cost in costs.items() if name != half_open}
    once = {row.what: row for row in rows([costs, without], {half_open: NotMeasuredError("late")}, 1.0)}
    assert {f"{ours} / {theirs}" for ours, theirs, _ in RATIOS} <= set(once)
    assert [what for what, row in once.items() if row.value is None] == [], "one round in which it ran is enough"
    never = {row.what: row for row in rows([without], {half_open: NotMeasuredError("needs root")}, 1.0)}
    assert {what for what, row in never.items() if row.value is None} == {what for what in never if half_open in what}
    assert sorted(name for group in SHORT_GROUPS for name in group) == sorted(CONTESTANTS)


@pytest.mark.parametrize(("flags", "port", "seen"), [(0x02, 443, True), (0x12, 443, False), (0x02, 80, False)])
def test_only_a_syn_to_the_port_counts(flags: int, port: int, seen: bool) -> None:
    """A SYN to the port is the first probe; its answer, and what goes elsewhere, is not."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, *[socket.inet_aton("127.0.0.1")] * 2)
    segment = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 0x50, flags, 1024, 0, 0)
    assert is_syn(header + segment, 443) is seen
    assert is_syn(header, 443) is False


def test_the_daemon_is_told_of_loopback_only(tmp_path: Path) -> None:
    """The configuration is valid, and names nobody beyond 127.0.0.0/8: no Relay, time server, Controller, provider."""
    setup = Setup(resources=[ports_of("127.1.0.1", 1, 443, 444), name_of("n1.corp.test", 2)], interval_s=0.3,
                  nameserver=5353, timeout_s=0.3)  # fmt: skip
    config = parse_config(setup.text(tmp_path).encode(), "bench.yaml").config
    assert (config.relays.endpoints, config.clock.servers, config.provider.enabled) == ((), (), "never")
    assert [str(server) for server in config.dns.nameservers] == ["127.0.0.1:5353"]
    assert config.checks["control_plane"] is False
