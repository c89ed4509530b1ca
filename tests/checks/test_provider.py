"""Twingate's status page: when it is asked, what of it matters, and what its absence means."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from checks.model import Outcome, Reason, Status
from checks.net.seat import Context
from checks.provider import MAX_BODY_BYTES, ProviderSpec, probe
from tests.support.cancel import check_cancellation
from tests.support.fakes import context
from tests.support.nginx import Site, nginx
from tests.support.peers import says, scripted, silence
from tests.support.pki import Authority, KeyPair
from tests.support.servers import free_port

HOST = "status.provider.example"
CONTROLLER = {"id": "g1", "name": "Controller", "status": "operational", "group": True, "group_id": None}
AUTHENTICATION = {"id": "c1", "name": "User Authentication", "status": "operational", "group_id": "g1"}
RELAYS = {"id": "c2", "name": "Data Relays", "status": "operational", "group_id": "g2"}
CONSOLE = {"id": "c3", "name": "Billing", "status": "operational", "group_id": "g3"}
ADMIN = {"id": "g3", "name": "Admin Console", "status": "operational", "group": True, "group_id": None}


def page(indicator: str = "none", *incidents: dict[str, Any], **statuses: str) -> bytes:
    """Return a summary as Statuspage writes it; `statuses` are by component id."""
    components = [
        {**c, "status": statuses.get(str(c["id"]), c["status"]), "position": 1, "components": []}
        for c in (CONTROLLER, AUTHENTICATION, RELAYS, CONSOLE, ADMIN)
    ]
    return json.dumps(
        {
            "page": {"id": "d3m2m1y4ghc6", "name": "Twingate", "url": "https://elsewhere.example"},
            "components": components,
            "incidents": incidents,
            "scheduled_maintenances": [],
            "status": {"indicator": indicator, "description": "What they say"},
        }
    ).encode()


def incident(name: str, *components: Mapping[str, object], status: str = "investigating") -> dict[str, Any]:
    """Return an incident that touches these components."""
    return {
        "name": name,
        "status": status,
        "impact": "major",
        "started_at": "2026-01-02T03:04:05Z",
        "shortlink": "https://stspg.example/x",
        "incident_updates": [{"body": "…"}],
        "components": components,
    }


def spec(
    port: int, enabled: Literal["never", "on_failure", "always"] = "always", root: Authority | None = None
) -> ProviderSpec:
    """Make a spec for HOST, over TLS when `root` is given."""
    return ProviderSpec(
        status_url=f"http{'s' if root else ''}://{HOST}:{port}/api/v2/summary.json",
        target=HOST,
        enabled=enabled,
        ca_file=str(root.ca_file) if root else None,
        timeout_s=0.4,
    )


def here(*addresses: str, trouble: bool = False) -> Context:
    """Stand on this host, where HOST has these addresses."""
    return dataclasses.replace(context({HOST: addresses or ("127.0.0.1",)}), trouble=trouble)


async def read(body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n", pair: KeyPair | None = None) -> Outcome:
    """Serve an answer and return what is made of it."""
    answer = head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    async with scripted(says(answer), pair) as port:
        row = (await probe(spec(port), here()))[HOST]
    assert len(row.summary) <= 120
    assert bool(row.action) is (row.status is not Status.OK)
    return row


async def test_a_quiet_page_over_tls(tmp_path: Path) -> None:
    """A page without incidents is ok; it is asked for once, by its own path."""
    root, port = Authority(tmp_path), free_port()
    (tmp_path / "summary.json").write_bytes(page())
    site = Site(
        port=port,
        pair=root.issue(HOST),
        directives=f"location = /api/v2/summary.json {{ alias {tmp_path}/summary.json; }}",
    )
    with nginx(tmp_path, site) as access:
        row = (await probe(spec(port, root=root), here()))[HOST]
    assert (row.status, row.summary) == (Status.OK, f"{HOST}: no incident")
    assert row.facts["indicator"] == "none"
    assert row.measurements["http_seconds"] >= 0
    assert access.read_text() == "GET /api/v2/summary.json HTTP/1.1 200 connector-health\n"


W, OK = Status.WARNING, Status.OK


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        pytest.param(page("major", c2="major_outage"), W, "Data Relays", id="relay component"),
        pytest.param(page("minor", c1="degraded_performance"), W, "User Authentication", id="by its group"),
        pytest.param(page("none", c2="under_maintenance"), W, "Data Relays", id="maintenance"),
        pytest.param(page("minor", c2="on_fire"), W, "Data Relays", id="a status not known yet"),
        pytest.param(page("minor", incident("Relays in fra1", RELAYS)), W, "Relays in fra1", id="incident"),
        pytest.param(page("minor", incident("Something")), W, "Something", id="incident that names nothing"),
        pytest.param(page("critical"), W, "What they say", id="indicator alone"),
        pytest.param(page("eclipse"), W, "What they say", id="an indicator not known yet"),
        pytest.param(page("major", c3="major_outage"), OK, "not with user connections: Billing", id="console"),
        pytest.param(page("minor", incident("Slow", CONSOLE), c3="partial_outage"), OK, "not with", id="console too"),
        pytest.param(page("none", incident("Old", RELAYS, status="resolved")), OK, "no incident", id="resolved"),
    ],
)
async def test_what_of_the_page_matters(body: bytes, status: Status, words: str) -> None:
    """Controller and Relays matter; the Admin Console, Billing and the like are told and change nothing."""
    row = await read(body)
    assert row.status is status
    assert words in row.summary
    if status is Status.WARNING:
        assert row.reason is Reason.UNHEALTHY
        assert f"http://{HOST}:" in row.action


async def test_incidents_are_told_in_the_facts() -> None:
    """Name, state, impact, begin and link of an incident are there for a person to read."""
    row = await read(page("minor", incident("Relays in fra1", RELAYS)))
    assert row.facts["incidents"] == (
        {
            "name": "Relays in fra1",
            "status": "investigating",
            "impact": "major",
            "started_at": "2026-01-02T03:04:05Z",
            "link": "https://stspg.example/x",
            "components": ("Data Relays",),
        },
    )


@pytest.mark.parametrize(
    ("body", "head", "reason"),
    [
        pytest.param(b"", b"HTTP/1.1 503 No\r\n", Reason.HTTP_STATUS, id="503"),
        pytest.param(b"", b"HTTP/1.1 302 Found\r\nLocation: /x\r\n", Reason.HTTP_STATUS, id="redirect"),
        pytest.param(b"<!doctype html>", b"HTTP/1.1 200 OK\r\n", Reason.MALFORMED_ANSWER, id="html"),
        pytest.param(b"{}", b"HTTP/1.1 200 OK\r\n", Reason.MALFORMED_ANSWER, id="no status"),
        pytest.param(b'{"status": {"indicator": 3}}', b"HTTP/1.1 200 OK\r\n", Reason.MALFORMED_ANSWER, id="types"),
        pytest.param(b'{"x": ' + b"[" * 100000, b"HTTP/1.1 200 OK\r\n", Reason.MALFORMED_ANSWER, id="deep"),
        pytest.param(b'{"status": {"indicator": "\xff"}}', b"HTTP/1.1 200 OK\r\n", Reason.MALFORMED_ANSWER, id="bytes"),
        pytest.param(b" " * (MAX_BODY_BYTES + 1), b"HTTP/1.1 200 OK\r\n", Reason.HTTP_STATUS, id="too long"),
    ],
)
async def test_a_page_that_is_not_one_is_unknown(body: bytes, head: bytes, reason: Reason) -> None:
    """An answer that is no summary says nothing about the service: unknown, never a warning."""
    row = await read(body, head)
    assert (row.status, row.reason) == (Status.UNKNOWN, reason)


async def test_a_page_that_cannot_be_reached_is_unknown() -> None:
    """Silence, a refusal and a name that does not exist are unknown, each with its reason."""
    async with scripted(silence) as port:
        assert (await probe(spec(port), here()))[HOST].reason is Reason.TIMEOUT
    rows = await probe(spec(free_port()), here())
    assert (rows[HOST].status, rows[HOST].reason) == (Status.UNKNOWN, Reason.REFUSED)
    rows = await probe(spec(443), context({}))
    assert (rows[HOST].status, rows[HOST].reason) == (Status.UNKNOWN, Reason.NXDOMAIN)


async def test_a_page_behind_an_unknown_issuer_is_not_believed(tmp_path: Path) -> None:
    """Without a chain that verifies, nothing is read."""
    pair = Authority(tmp_path, "Nobody Knows").issue(HOST)
    async with scripted(says(b"HTTP/1.1 200 OK\r\n\r\n"), pair) as port:
        row = (await probe(spec(port, root=Authority(tmp_path)), here()))[HOST]
    assert (row.status, row.reason) == (Status.UNKNOWN, Reason.TLS_UNTRUSTED)


async def test_the_second_address_is_asked_when_the_first_fails() -> None:
    """One dead address of a content network does not hide the page."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page()), page())
    async with scripted(says(answer)) as port:
        assert (await probe(spec(port), here("127.0.0.9", "127.0.0.1")))[HOST].status is Status.OK


@pytest.mark.parametrize(
    ("enabled", "trouble", "asked"),
    [
        ("never", True, False),
        ("on_failure", False, False),
        ("on_failure", True, True),
        ("always", False, True),
    ],
)
async def test_when_it_is_asked(enabled: Literal["never", "on_failure", "always"], trouble: bool, asked: bool) -> None:
    """`never` is never, `on_failure` is only while something fails, `always` is always."""
    row = (await probe(spec(free_port(), enabled), here(trouble=trouble)))[HOST]
    assert (row.status is Status.UNKNOWN) is asked
    if not asked:
        assert (row.status, row.reason) == (Status.SKIPPED, Reason.NOT_PROBEABLE)


async def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    """Whenever the probe is cancelled, no socket and no task is left."""
    root = Authority(tmp_path)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page()), page())
    async with scripted(says(answer), root.issue(HOST)) as port:
        wanted = dataclasses.replace(spec(port, root=root), timeout_s=5.0)
        assert await check_cancellation(lambda: probe(wanted, here())) > 4
