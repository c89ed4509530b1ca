"""The control plane's TLS: bad certificates, interception, a wrong clock, and peers that cut it."""

import dataclasses
from pathlib import Path

import pytest

from checks.control_plane import probe
from checks.model import Reason, Status
from checks.net.seat import Context, Seat
from tests.support.controller import AMPLE_S, HOST, NAMES, SHORT_S, look, spec
from tests.support.fakes import FakeResolver
from tests.support.nginx import Site, nginx
from tests.support.peers import Script, hang_up, reset, says, scripted, silence
from tests.support.pki import DAY, NOW, Authority
from tests.support.servers import free_port


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    """The authority that the specs trust."""
    return Authority(tmp_path)


@pytest.fixture
def port() -> int:
    """Where the Controller listens."""
    return free_port()


@pytest.mark.parametrize(
    ("kind", "reason", "words"),
    [
        ("expired", Reason.TLS_EXPIRED, "certificate expired on 20"),
        ("not yet", Reason.TLS_NOT_YET_VALID, "certificate is not valid before 20"),
        ("other name", Reason.TLS_NAME_MISMATCH, "certificate is for another name"),
        ("unknown issuer", Reason.TLS_UNTRUSTED, "issuer Nobody Knows is not trusted: "),
    ],
)
async def test_a_bad_certificate_is_named_and_shown(
    tmp_path: Path, root: Authority, port: int, kind: str, reason: Reason, words: str
) -> None:
    """Every kind of bad certificate has its own reason, and its facts are told although it was not accepted."""
    pair = {
        "expired": lambda: root.expired(HOST),
        "not yet": lambda: root.not_yet_valid(HOST),
        "other name": lambda: root.issue("other.example"),
        "unknown issuer": lambda: Authority(tmp_path, "Nobody Knows").issue(HOST),
    }[kind]()
    with nginx(tmp_path, Site(port=port, pair=pair)) as access:
        row = await look(spec(port, root))
    assert (row.status, row.reason) == (Status.CRITICAL, reason)
    assert words in row.summary
    assert "openssl s_client -connect 127.0.0.1:" in row.action
    assert row.facts["names"] == (("other.example",) if kind == "other name" else (HOST,))
    assert {"issuer", "subject", "not_before", "not_after", "sha256", "protocol"} <= set(row.facts)
    assert row.facts["tls_intercepted"] is False
    assert row.measurements["certificate_not_after_timestamp_seconds"] > 0
    assert access.read_text() == ""  # nothing is asked of a peer that could not prove who it is


async def test_a_wrong_clock_is_not_blamed_on_the_certificate(tmp_path: Path, root: Authority, port: int) -> None:
    """While the clock is known to be off, a certificate outside its dates is the clock's doing: no verdict."""
    with nginx(tmp_path, Site(port=port, pair=root.not_yet_valid(HOST))):
        row = await look(spec(port, root), clock_off=True)
    assert (row.status, row.reason) == (Status.SKIPPED, Reason.DEPENDENCY_FAILED)
    assert row.summary.endswith("Z, but this host's clock is off")
    assert row.facts["tls_intercepted"] is False


async def test_dates_are_judged_by_the_seats_clock(tmp_path: Path, root: Authority, port: int) -> None:
    """The wall clock that decides is the seat's, not OpenSSL's."""
    seat = Seat(resolver=FakeResolver(NAMES), wall_clock=(NOW + 30 * DAY).timestamp)
    with nginx(tmp_path, Site(port=port, pair=root.issue(HOST))):
        rows = await probe(spec(port, root), Context(seat=seat))
    assert rows[f"{HOST}:{port}"].reason is Reason.TLS_EXPIRED


async def test_a_clock_that_is_off_excuses_nothing_else(tmp_path: Path, root: Authority, port: int) -> None:
    """Another name on the certificate stays critical whatever the clock says."""
    with nginx(tmp_path, Site(port=port, pair=root.issue("other.example"))):
        row = await look(spec(port, root), clock_off=True)
    assert (row.status, row.reason) == (Status.CRITICAL, Reason.TLS_NAME_MISMATCH)


async def test_a_root_that_only_this_host_trusts_is_interception(
    tmp_path: Path, root: Authority, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inspection proxy's root sits in the host's own store: that is told apart from an unknown issuer."""
    proxy = Authority(tmp_path, "Inspection Appliance")
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.ca_file))
    with nginx(tmp_path, Site(port=port, pair=proxy.issue(HOST))):
        row = await look(spec(port, root))
    assert (row.status, row.reason) == (Status.CRITICAL, Reason.TLS_INTERCEPTED)
    assert row.facts["tls_intercepted"] is True
    assert f"TLS to {HOST} is intercepted: issuer Inspection Appliance is trusted by this host alone" in row.summary
    assert "Exempt *.twingate.com" in row.action


@pytest.mark.parametrize(
    ("issuers", "reason"),
    [(("public roots",), None), (("Google Trust", "ISSUING"), None), (("Google Trust",), Reason.TLS_INTERCEPTED)],
)
async def test_expected_issuers(
    tmp_path: Path, root: Authority, port: int, issuers: tuple[str, ...], reason: Reason | None
) -> None:
    """A public chain whose issuers are not the expected ones is interception as well."""
    with nginx(tmp_path, Site(port=port, pair=root.intermediate().issue(HOST))):
        row = await look(spec(port, root, AMPLE_S, *issuers))
    assert row.reason is reason
    assert row.facts["tls_intercepted"] is (reason is not None)


@pytest.mark.parametrize(
    ("script", "reason", "phase"),
    [
        pytest.param(silence, Reason.TIMEOUT, "tls", id="silence"),
        pytest.param(reset, Reason.RESET, "tls", id="reset"),
        pytest.param(hang_up, Reason.TLS_FAILED, "tls", id="hang up"),
        pytest.param(says(b"220 mail ESMTP\r\n"), Reason.TIMEOUT, "tls", id="waits for a line"),
    ],
)
async def test_tcp_that_accepts_and_tls_that_fails(script: Script, reason: Reason, phase: str) -> None:
    """A peer behind which TLS is cut is critical, and the phase that failed is told."""
    async with scripted(script) as port:
        row = await look(spec(port, None, SHORT_S))
    assert (row.status, row.reason, row.facts["failed_phase"]) == (Status.CRITICAL, reason, phase)
    assert "connect_seconds" in row.measurements
    assert "TCP works and TLS does not" in row.action
    assert "tls_intercepted" not in row.facts


async def test_a_plain_text_port(tmp_path: Path, port: int) -> None:
    """An https URL on a port that speaks plain HTTP fails as TLS, in words that say so."""
    with nginx(tmp_path, Site(port=port)):
        row = await look(spec(port, None))
    assert (row.status, row.reason) == (Status.CRITICAL, Reason.TLS_FAILED)
    assert row.summary == f"{HOST}: the port answers, but not with TLS"


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        pytest.param(silence, Status.CRITICAL, Reason.TIMEOUT, id="silence"),
        pytest.param(hang_up, Status.CRITICAL, Reason.RESET, id="hang up"),
        pytest.param(says(b"\x00" * 99 + b"\n"), Status.WARNING, Reason.HTTP_STATUS, id="garbage"),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\n", forever=b"X: y\r\n" * 500), Status.WARNING, Reason.HTTP_STATUS, id="endless"
        ),
    ],
)
async def test_tls_that_works_and_http_that_does_not(
    root: Authority, script: Script, status: Status, reason: Reason
) -> None:
    """No answer is critical; an answer that is not HTTP shows that somebody is there: a warning."""
    async with scripted(script, root.issue(HOST)) as port:
        row = await look(spec(port, root, SHORT_S))
    assert (row.status, row.reason, row.facts["failed_phase"]) == (status, reason, "http")
    assert {"connect_seconds", "tls_seconds"} <= set(row.measurements)
    assert row.facts["names"] == (HOST,)


async def test_a_missing_ca_file_is_not_the_controllers_fault(tmp_path: Path, root: Authority, port: int) -> None:
    """A `ca_file` that is gone is our own trouble: unknown, and the action names the key."""
    wanted = dataclasses.replace(spec(port, root), ca_file=str(tmp_path / "gone.pem"))
    with nginx(tmp_path, Site(port=port, pair=root.issue(HOST))):
        row = await look(wanted)
    assert (row.status, row.reason) == (Status.UNKNOWN, Reason.NOT_FOUND)
    assert "control_plane.ca_file" in row.action
