"""CPU per probe of whole processes, side by side: the daemon, blackbox_exporter, and a C loop that only connects.

In each round everybody probes the same targets at the same pace, one after the other, each in a network of its own; the
figure of a prober is its CPU time, user and system, over the probes that it made in a window. The daemon's includes
all that it does (schedule, verdicts, states, history, diagnosis, /metrics scraped by Prometheus); blackbox_exporter's
is without the Prometheus that it needs as schedule and memory, whose CPU stands beside it.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.contestants import Contestant, Cost, Load, Probing, blackbox_dns, blackbox_tcp, c_loop, ours_dns, ours_tcp
from bench.place import NotMeasuredError
from bench.servers import address, nameserver, targets
from bench.table import Row, median_row, missing_row, ratio_row

BENCH = "probes"
CONTESTANTS: Mapping[str, Contestant] = {
    "C epoll loop, TCP connect": c_loop,
    "blackbox_exporter, tcp": blackbox_tcp,
    "daemon, TCP connect": ours_tcp("connect"),
    "daemon, TCP half_open": ours_tcp("half_open"),
    "blackbox_exporter, dns": blackbox_dns,
    "daemon, DNS question": ours_dns,
}
RATIOS = (
    ("daemon, TCP connect", "blackbox_exporter, tcp", 0.33),
    ("daemon, TCP connect", "C epoll loop, TCP connect", 3.5),
    ("daemon, TCP half_open", "blackbox_exporter, tcp", 0.08),
    ("daemon, TCP half_open", "C epoll loop, TCP connect", 1.0),
    ("daemon, DNS question", "blackbox_exporter, dns", 0.5),
)
"""Whose cost is promised to be how much of whose."""
MISSED = {
    ("daemon, TCP connect", "blackbox_exporter, tcp"): 0.46,
    ("daemon, TCP connect", "C epoll loop, TCP connect"): 6.7,
    ("daemon, TCP half_open", "blackbox_exporter, tcp"): 0.18,
    ("daemon, TCP half_open", "C epoll loop, TCP connect"): 2.5,
}
"""What was published (docs/performance.md) where that is more: the short form is to see what gets worse than this."""
TARGETS, INTERVAL_S = 5000, 5.0  # 1,000 a second: the default of `schedule.max_rate`
SHORT_TARGETS, SHORT_INTERVAL_S, SHORT_WINDOW_S = 500, 1.0, 5.0
DNS = ("dns", "DNS question")
KEPT = 0.9  # of the pace: who makes fewer probes is not at the same pace
LOOSE = 2.0  # times the target, or what was published, may a ratio be in the short form: it sees regressions
SHORT_GROUPS = (
    ("C epoll loop, TCP connect", "daemon, TCP connect", "daemon, TCP half_open", "daemon, DNS question"),
    ("blackbox_exporter, tcp", "blackbox_exporter, dns"),
)
"""Who runs at once in the short form. Two cores carry either group with room to spare, but not both."""

Costs = dict[str, Cost]
"""Who had which cost in a round."""
Reasons = dict[str, Exception]
"""Why somebody could not be measured, the last time."""
Place = Callable[[], contextlib.AbstractContextManager[Path]]
"""Makes a network and a folder for a round, and removes them."""


@contextlib.contextmanager
def stage(folder: Path, count: int, interval_s: float, *, scraped: bool) -> Iterator[Load]:
    """Start the targets and the nameserver."""
    with targets(folder) as (port,), nameserver(folder, [address(n) for n in range(count)]) as dns_port:
        yield Load(targets=count, interval_s=interval_s, folder=folder, tcp_port=port, dns_port=dns_port,
                   scraped=scraped)  # fmt: skip


def measure(place: Place, count: int, seconds: float, rounds: int) -> list[Row]:
    """Let everybody run in turns; return the table. Who fails in one round is tried again in the next."""
    found: list[Costs] = []
    why: Reasons = {}
    for turn in range(rounds):
        found.append({})
        for name in list(CONTESTANTS)[:: -1 if turn % 2 else 1]:  # what drifts within a round evens out
            with (
                place() as folder,
                stage(folder, count, INTERVAL_S, scraped=True) as load,
                _noting(why, name),
                CONTESTANTS[name](load) as probing,
            ):
                probing.ready()
                time.sleep(probing.settle_s)
                before = probing.sample()
                time.sleep(seconds)
                cost = Cost.between(before, probing.sample())
                probing.ready()
                if cost.probes < KEPT * load.rate * seconds:
                    raise NotMeasuredError(f"made {cost.probes / seconds:.0f} of {load.rate:.0f} probes a second")
                found[-1][name] = cost
                print(f"round {turn + 1}, {name}: {cost.cpu_us:.0f} us", file=sys.stderr, flush=True)
    return rows(found, why, 1.0)


def measure_short(place: Place) -> list[Row]:
    """Let all of a group run in the same seconds, once; return the table with loose targets."""
    costs: Costs = {}
    why: Reasons = {}
    for group in SHORT_GROUPS:
        with (
            place() as folder,
            stage(folder, SHORT_TARGETS, SHORT_INTERVAL_S, scraped=False) as load,
            contextlib.ExitStack() as stack,
        ):
            started: dict[str, Probing] = {}
            for name in group:
                with _noting(why, name):
                    started[name] = stack.enter_context(CONTESTANTS[name](load))
            for name, probing in started.items():
                with _noting(why, name):
                    probing.ready()
            time.sleep(max((probing.settle_s for probing in started.values()), default=0.0))
            before = {name: probing.sample() for name, probing in started.items() if name not in why}
            time.sleep(SHORT_WINDOW_S)
            for name, sample in before.items():
                with _noting(why, name):
                    costs[name] = Cost.between(sample, started[name].sample())
    return rows([costs], why, LOOSE)


@contextlib.contextmanager
def _noting(why: Reasons, name: str) -> Iterator[None]:
    """Keep the reason why something can't be measured."""
    try:
        yield
    except (NotMeasuredError, OSError) as error:
        why[name] = error
        print(f"{name}: {error}", file=sys.stderr, flush=True)


def rows(rounds: Sequence[Costs], why: Reasons, loose: float) -> list[Row]:
    """Return the costs, then the ratios with their targets times `loose`; a ratio needs both in the same round."""
    made = []
    for name in CONTESTANTS:
        costs = [costs[name] for costs in rounds if name in costs]
        if not costs:
            made.append(missing_row(BENCH, name, why[name]))
            continue
        made.append(median_row(BENCH, name, "µs", [cost.cpu_us for cost in costs]))
        if name.endswith(DNS) and loose == 1.0:  # in the short form others send datagrams, too
            made.append(median_row(BENCH, f"questions a name, {name}", "", [cost.datagrams / 2 for cost in costs]))
        if name.startswith("blackbox"):
            made.append(median_row(BENCH, f"Prometheus beside {name}", "µs", [cost.beside_us for cost in costs]))
    for ours, theirs, limit in RATIOS:
        what = f"{ours} / {theirs}"
        pairs = [(costs[ours].cpu_us, costs[theirs].cpu_us) for costs in rounds if ours in costs and theirs in costs]
        if pairs:
            our_us, their_us = zip(*pairs, strict=True)
            known = limit if loose == 1.0 else max(limit, MISSED.get((ours, theirs), 0.0))
            made.append(ratio_row(BENCH, what, our_us, their_us, known * loose))
        else:
            made.append(missing_row(BENCH, what, "see above"))
    return made
