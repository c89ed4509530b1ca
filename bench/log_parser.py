"""CPU time and memory of reading the Connector's log: 256 MiB of mixed lines through the parser into the log book.

Run: make bench. The lines are made beforehand from a seed, and their making is not counted. Prints MiB per second of
CPU time, the growth of resident memory, and both for each kind of line alone.
"""

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout that is not installed can be measured too

from checks.connlog.book import LogBook
from checks.connlog.model import RawLine
from checks.connlog.parser import LogParser

MIB = 1 << 20
START = 1_700_000_000.0
CORPUS_MIB = 16  # made once and read again and again
LONG = 12 * 1024  # bytes of a long line

Maker = Callable[[random.Random, float], str]


def state(rng: random.Random, _at: float) -> str:
    """A state line."""
    return f"[INFO] [connector] State: {rng.choice(('Online', 'Offline', 'Authentication', 'Error'))}"


def debug(rng: random.Random, _at: float) -> str:
    """What level 7 is made of."""
    flow = f"{rng.getrandbits(64):016x}-{rng.randrange(9999)}"
    sizes = f"rx {rng.randrange(1 << 20)} tx {rng.randrange(1 << 20)}"
    return rng.choice(
        (
            f"[DEBUG] [libsdwan] flow_table::update: flow {flow} {sizes} window {rng.randrange(1 << 16)} rtt 23 ms",
            f"[DEBUG] [libsdwan] [controller] run_state_machine: tick {rng.randrange(1 << 30)}",
            f"[DEBUG] [libsdwan] quic::send: {rng.randrange(64)} packets to peer {flow}, congestion window {sizes}",
            f"[DEBUG] [connector] dns: query host-{rng.randrange(5000)}.corp.internal A answered in {rng.random():.3f}",
        )
    )


def error(rng: random.Random, _at: float) -> str:
    """An error, of all kinds."""
    relay = f"198.51.100.{rng.randrange(1, 255)}:{rng.randrange(30000, 31000)}"
    return rng.choice(
        (
            "[WARN] [libsdwan] [controller] operator(): failed to get SD: Invalid token, err code 1",
            f"[ERROR] [libsdwan] listen::maintain_relay_connectivity: relay {relay} is not available, disconnect",
            "[msg] Nameserver 10.0.0.2:53 has failed: request timed out.",
            "[msg] Nameserver 10.0.0.2:53 is back up",
            "[ERROR] [connector] Failed to submit analytics events: dns error: Too many open files (os error 24)",
            '{"error":true,"status":403,"service":"Access Manager","message":"Token is expired."}',
            "[ERROR] [libsdwan] something that nobody knows",
        )
    )


def analytics(rng: random.Random, at: float) -> str:
    """A user connection in one of the three versions, one in five of them a failure."""
    kind = rng.choice(("established_connection", "closed_connection") * 2 + ("failed_to_connect",))
    host = f"host-{rng.randrange(5000)}.corp.internal"
    connection: dict[str, object] = {
        "cbct_freshness": rng.randrange(-200, 200),
        "client_ip": f"203.0.113.{rng.randrange(256)}",
        "id": f"{rng.getrandbits(64):016x}-24",
        "protocol": rng.choice(("tcp", "udp")),
        "resource_ip": f"10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
        "resource_port": rng.choice((22, 80, 443, 3306, 5432)),
        "rx": rng.randrange(1 << 24),
        "tx": rng.randrange(1 << 24),
    }
    event: dict[str, object] = {
        "connection": connection,
        "connector": {"id": "41731", "name": "fine-jackal"},
        "device": {"id": str(rng.randrange(1 << 20))},
        "event_type": kind,
        "remote_network": {"id": "90490", "name": "Office"},
        "resource": {"address": host, "applied_rule": "*.corp.internal", "id": "504252"},
        "timestamp": int(at * 1000),
        "user": {"email": f"user{rng.randrange(5000)}@example.com", "id": str(rng.randrange(5000))},
    }
    version = rng.randrange(3)
    if kind == "failed_to_connect":
        connection["error_message"] = rng.choice(("DNS_ERROR", "CONNECTION_FAILED"))
    if version == 0:
        connection["client_geo"] = {"city": {"name": "Springfield"}, "as": {"route": "203.0.113.0/24", "type": "isp"}}
    else:
        connection |= {"tunnel_path": rng.choice(("direct", "relayed", "relay")), "tunnel_proto": "quic/udp"}
        event["relays"] = [
            {"ip": f"198.51.100.{n}", "name": "relaybalancer+https://relays.twingate.com", "port": 30000 + n}
            for n in range(4)
        ]
    if version == 2:
        event["location"] = json.dumps({"geoip": {"city": "Springfield", "isp": "Example"}})
    return "ANALYTICS " + json.dumps(event)


def long(rng: random.Random, _at: float) -> str:
    """A line that goes on and on."""
    return f"[DEBUG] [libsdwan] dump: {rng.randbytes(LONG // 2).hex()}"


KINDS: dict[str, tuple[Maker, int]] = {
    "state": (state, 2),
    "debug": (debug, 70),
    "error": (error, 4),
    "analytics": (analytics, 23),
    "long": (long, 1),
}
"""Makers of lines, and how many of a hundred lines are theirs."""


def corpus(seed: int, size: int, weights: dict[str, int]) -> list[RawLine]:
    """Make about `size` bytes of lines."""
    rng, lines, total, at = random.Random(seed), list[RawLine](), 0, START
    makers, shares = [KINDS[name][0] for name in weights], list(weights.values())
    while total < size:
        at += 0.01
        text = rng.choices(makers, shares)[0](rng, at).encode()
        lines.append(RawLine(at=at, text=text, cursor=""))
        total += len(text) + 1
    return lines


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def read(lines: list[RawLine], mib: float) -> tuple[float, float, LogParser, LogBook]:
    """Read at least `mib` MiB; return MiB per second of CPU time, the growth of memory in MiB, and the readers."""
    size = sum(len(line.text) + 1 for line in lines)
    before = resident()
    parser, now = LogParser(None), START
    book = LogBook(lambda: now)
    done, cpu, most = 0, 0.0, before
    while done < mib * MIB:
        for batch in batches(lines):
            begin = time.thread_time()
            for line in batch:
                event = parser.feed(line)
                if event is not None:
                    now = event.at
                    book.note(event)
            book.note_lines(len(batch), batch[-1].at)
            cpu += time.thread_time() - begin
            most = max(most, resident())
        book.summary(now)
        done += size
    return done / MIB / cpu, most - before, parser, book


def batches(lines: list[RawLine]) -> Iterator[list[RawLine]]:
    """Yield the lines as the readers give them."""
    for start in range(0, len(lines), 1000):
        yield lines[start : start + 1000]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mib", type=float, default=256)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    mixed = corpus(options.seed, CORPUS_MIB * MIB, {name: weight for name, (_, weight) in KINDS.items()})
    shares = dict.fromkeys(KINDS, 0)
    for line in mixed:
        shares[kind_of(line.text)] += len(line.text) + 1
    whole = sum(shares.values())
    speed, growth, parser, book = read(mixed, options.mib)
    summary = book.summary(mixed[-1].at)
    print(f"mixed: {', '.join(f'{name} {n / whole:.0%}' for name, n in shares.items())} of the bytes")
    print(f"mixed: {speed:.0f} MiB per second of CPU time; {options.mib:.0f} MiB take {options.mib / speed:.1f} s")
    print(f"mixed: {growth:.1f} MiB of growth; {parser.lines} lines, {parser.unparsed} unparsed")
    print(f"mixed: events {dict(summary.events)}, failing targets {len(summary.failing)}")
    for name in KINDS:
        speed, growth, _, _ = read(corpus(options.seed, MIB, {name: 1}), options.mib / 16)
        print(f"{name} alone: {speed:.0f} MiB per second of CPU time, {growth:.1f} MiB of growth")


def kind_of(text: bytes) -> str:
    """Return which kind of line this is."""
    if text.startswith(b"ANALYTICS"):
        return "analytics"
    if text.startswith(b"[INFO]"):
        return "state"
    if text.startswith(b"[DEBUG]"):
        return "long" if len(text) > LONG else "debug"
    return "error"


if __name__ == "__main__":
    main()
