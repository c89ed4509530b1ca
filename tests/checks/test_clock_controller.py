"""The Controller's Date as a time source, over a real TLS server."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.clock import TARGET, ClockSpec, probe
from checks.model import Outcome, Reason, Status
from checks.net.endpoint import Endpoint
from checks.net.seat import Context, Seat
from tests.support.fakes import FakeResolver, context
from tests.support.nginx import Site, nginx
from tests.support.ntp_server import reply, scripted, sources_of
from tests.support.pki import Authority, KeyPair
from tests.support.servers import free_port

NAME = "acme.controller.example"
wall = time.time  # noqa: TID251 - the true clock of the test


async def look(port: int, ca: Authority, *servers: int, now: Callable[[], float] = wall) -> Outcome:
    """Run the check against a Controller on this port and NTP servers on the others."""
    spec = ClockSpec(
        servers=tuple(Endpoint("127.0.0.1", p) for p in servers),
        controllers=(f"https://{NAME}:{port}",),
        ca_file=str(ca.ca_file),
        max_offset_s=5.0,
        warn_offset_s=1.0,
        timeout_s=2.0,
    )
    seat = Seat(resolver=FakeResolver({NAME: ("127.0.0.1",)}), wall_clock=now)
    return (await probe(spec, Context(seat=seat)))[TARGET]


def state(outcome: Outcome) -> object:
    """Return what became of the Controller."""
    return next(s["state"] for s in sources_of(outcome) if s["kind"] == "controller")


@pytest.mark.parametrize("made", [Authority.issue, Authority.expired, Authority.not_yet_valid])
async def test_alone_is_enough(tmp_path: Path, made: Callable[[Authority, str], KeyPair]) -> None:
    """A real server's Date alone judges the clock to a fraction of a second, whatever the dates of its certificate."""
    ca, port = Authority(tmp_path), free_port()
    with nginx(tmp_path, Site(port=port, pair=made(ca, NAME))) as log:
        seen = await look(port, ca)
        assert log.read_text().count("HEAD / HTTP/1.1") >= 3
    assert seen.status is Status.OK
    assert state(seen) == "used"
    assert "the Controller's Date alone" in seen.summary
    assert abs(seen.measurements["offset_seconds"]) <= seen.measurements["error_bound_seconds"]
    assert seen.measurements["error_bound_seconds"] < 0.3


async def test_alone_is_enough_to_be_critical(tmp_path: Path) -> None:
    """A host whose clock is 6 s behind is critical by the Controller's Date alone."""
    ca, port = Authority(tmp_path), free_port()
    with nginx(tmp_path, Site(port=port, pair=ca.issue(NAME))):
        seen = await look(port, ca, now=lambda: wall() - 6)
    assert (seen.status, seen.reason) == (Status.CRITICAL, Reason.OFFSET_EXCEEDED)
    assert seen.measurements["offset_seconds"] == pytest.approx(-6, abs=0.3)
    assert f"curl -sI https://{NAME}:{port}" in seen.action


async def test_confirms_a_single_server(tmp_path: Path) -> None:
    """With the Controller's word one NTP server is no longer alone, and a wrong clock is critical to its precision."""
    ca, port = Authority(tmp_path), free_port()
    with nginx(tmp_path, Site(port=port, pair=ca.issue(NAME))):
        async with scripted(lambda q: [reply(q, wall())]) as (ntp_port, _):
            seen = await look(port, ca, ntp_port, now=lambda: wall() + 6)
    assert (seen.status, seen.facts["agreeing"]) == (Status.CRITICAL, 2)
    assert seen.measurements["error_bound_seconds"] < 0.05


@pytest.mark.parametrize(
    ("site", "word"),
    [
        (
            lambda ca, _, port: Site(port=port, pair=ca.issue(NAME), directives='add_header Age 7; return 200 "";'),
            "Age",
        ),
        (lambda ca, _, port: Site(port=port, pair=ca.issue("other.example")), "rejected: tls_name_mismatch: "),
        (lambda _, stranger, port: Site(port=port, pair=stranger.issue(NAME)), "rejected: tls_untrusted: "),
        (lambda _, __, port: Site(port=port), "rejected: tls_failed: "),
    ],
)
async def test_not_trusted(tmp_path: Path, site: Callable[[Authority, Authority, int], Site], word: str) -> None:
    """A cached Date, and any that did not come over TLS verified for this name, is not used, and why is told."""
    ca, stranger, port = Authority(tmp_path), Authority(tmp_path), free_port()
    with nginx(tmp_path, site(ca, stranger, port)):
        seen = await look(port, ca)
    assert (seen.status, seen.reason) == (Status.UNKNOWN, Reason.NO_TIME_SOURCE)
    assert word in str(state(seen))
    assert seen.summary.startswith(f"no time source is usable: {NAME} rejected: ")


async def test_several_controllers(tmp_path: Path) -> None:
    """Controllers are asked in their order until one tells the time; what the earlier ones said is kept."""
    ca, port, closed = Authority(tmp_path), free_port(), free_port()
    spec = ClockSpec(
        servers=(),
        controllers=(f"https://{NAME}:{closed}", f"https://{NAME}:{port}", "https://never.example"),
        ca_file=str(ca.ca_file),
        max_offset_s=5.0,
        warn_offset_s=1.0,
        timeout_s=2.0,
    )
    with nginx(tmp_path, Site(port=port, pair=ca.issue(NAME))):
        seen = (await probe(spec, context({NAME: ("127.0.0.1",)})))[TARGET]
    assert seen.status is Status.OK
    assert [s["state"] for s in sources_of(seen)] == ["rejected: refused: Connection refused (ECONNREFUSED)", "used"]


async def test_closed(tmp_path: Path) -> None:
    """A Controller that refuses connections is our ignorance of the time."""
    seen = await look(free_port(), Authority(tmp_path))
    assert seen.reason is Reason.NO_TIME_SOURCE
    assert state(seen) == "rejected: refused: Connection refused (ECONNREFUSED)"
