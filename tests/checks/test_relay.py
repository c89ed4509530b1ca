import dataclasses
import errno
import socket
from pathlib import Path

import pytest

from checks.model import Outcome, Reason, Status
from checks.net.endpoint import Endpoint
from checks.net.seat import Context
from checks.relay import CRITICAL_REASONS, RelaySpec, probe
from tests.support.cancel import check_cancellation
from tests.support.fakes import context
from tests.support.netns import link, namespace
from tests.support.nginx import Site, nginx
from tests.support.peers import Script, hang_up, reset, says, scripted, silence
from tests.support.pki import Authority
from tests.support.servers import free_port
from tests.support.tcp import listening, port_of, silent, sockets_that_fail

NAME = "relay.example"
TIMEOUT_S = 0.4
NAMES = {NAME: ("127.0.0.1",), "two.example": ("127.0.0.2", "127.0.0.1"), "v6.example": ("::1",)}


async def look(
    port: int,
    where: Context | None = None,
    *,
    name: str = NAME,
    proven: bool = True,
    tls: bool | None = None,
    ca_file: Path | None = None,
) -> Outcome:
    """Probe one endpoint."""
    spec = RelaySpec(
        endpoint=Endpoint(name, port),
        target=f"{name}:{port}",
        proven=proven,
        tls=tls,
        ca_file=str(ca_file) if ca_file else None,
        timeout_s=TIMEOUT_S,
    )
    rows = await probe(spec, where or context(NAMES))
    assert list(rows) == [spec.target]
    outcome = rows[spec.target]
    assert outcome.event is None
    assert len(outcome.summary) <= 120
    assert outcome.status is not Status.CRITICAL or outcome.reason in CRITICAL_REASONS
    return outcome


async def test_a_relay_that_speaks_tls_is_ok_with_its_phases(tmp_path: Path) -> None:
    """TCP and TLS are measured, the certificate's issuer is a fact."""
    root, port = Authority(tmp_path), free_port()
    with nginx(tmp_path, Site(port=port, pair=root.issue(NAME))) as access:
        outcome = await look(port, tls=True, ca_file=root.ca_file)
    assert outcome.status is Status.OK
    assert set(outcome.measurements) == {"connect_seconds", "tls_seconds"}
    assert outcome.facts["tls"] is True
    assert "Public Roots Inc" in str(outcome.facts["issuer"])
    assert access.read_text() == "", "no request was sent"


async def test_a_port_of_unknown_protocol_gets_a_connection_and_no_data() -> None:
    """Outside of 443 nothing is sent: the server reads the end of the stream at once."""
    heard: list[bytes] = []

    async def listen(reader: "object", _: "object") -> None:
        heard.append(await reader.read())  # type: ignore[attr-defined]

    async with scripted(listen) as port:
        outcome = await look(port)
    assert (outcome.status, outcome.facts["tls"], heard) == (Status.OK, None, [b""])


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        (hang_up, Status.OK, None),
        (reset, Status.WARNING, Reason.RESET),
        (silence, Status.WARNING, Reason.TIMEOUT),
    ],
)
async def test_tls_that_fails_is_never_critical(script: Script, status: Status, reason: Reason | None) -> None:
    """TCP decides: another protocol is ok, a greeting cut off or ignored is a warning."""
    async with scripted(script) as port:
        outcome = await look(port, tls=True)
    assert (outcome.status, outcome.reason, outcome.facts["tls"]) == (status, reason, False)


async def test_a_port_that_speaks_plain_text_is_ok() -> None:
    """An answer that is not TLS: ok with `tls: false`."""

    async def greet(reader: "object", writer: "object") -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # type: ignore[attr-defined]
        await reader.read()  # type: ignore[attr-defined]

    async with scripted(greet) as port:
        outcome = await look(port, tls=True)
    assert (outcome.status, outcome.facts["tls"]) == (Status.OK, False)


@pytest.mark.parametrize(("names", "problem"), [((NAME,), "tls_untrusted"), (("other.example",), "tls_name_mismatch")])
async def test_a_certificate_that_can_not_be_verified_is_a_fact(
    tmp_path: Path, names: tuple[str, ...], problem: str
) -> None:
    """A Relay may have a certificate of its own authority: that alone is no fault."""
    root, port = Authority(tmp_path), free_port()
    trusted = root.ca_file if problem == "tls_name_mismatch" else None
    with nginx(tmp_path, Site(port=port, pair=root.issue(*names))):
        outcome = await look(port, tls=True, ca_file=trusted)
    assert (outcome.status, outcome.facts["tls_problem"]) == (Status.OK, problem)


async def test_an_authority_that_only_this_host_trusts_is_interception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS inspection: a warning that names the issuer, even for a proven Relay."""
    root, port = Authority(tmp_path, "Inspection Box Ltd"), free_port()
    monkeypatch.setenv("SSL_CERT_FILE", str(root.ca_file))
    with nginx(tmp_path, Site(port=port, pair=root.issue(NAME))):
        outcome = await look(port, tls=True)
    assert (outcome.status, outcome.reason) == (Status.WARNING, Reason.TLS_INTERCEPTED)
    assert "Inspection Box Ltd" in outcome.summary


async def test_a_ca_file_that_is_missing_says_nothing_about_the_relay(tmp_path: Path) -> None:
    """Our own configuration: TCP still decides, and the evidence names the file."""
    async with scripted(silence) as port:
        outcome = await look(port, tls=True, ca_file=tmp_path / "gone.pem")
    assert (outcome.status, outcome.facts["tls"]) == (Status.OK, None)
    assert "gone.pem" in str(outcome.facts["evidence"])


@pytest.mark.parametrize(("proven", "status"), [(True, Status.CRITICAL), (False, Status.WARNING)])
async def test_only_a_proven_relay_can_be_critical(proven: bool, status: Status) -> None:
    """Refused, silent, unknown name, IPv6 only: the same reasons, by proof critical or a warning."""
    closed = await look(free_port(), proven=proven)
    with silent() as port:
        mute = await look(port, proven=proven)
    gone = await look(443, name="gone.example", proven=proven)
    six = await look(443, name="v6.example", proven=proven)
    assert [(o.status, o.reason) for o in (closed, mute, gone, six)] == [
        (status, Reason.REFUSED), (status, Reason.TIMEOUT), (status, Reason.NXDOMAIN), (status, Reason.NO_IPV4),
    ]  # fmt: skip
    assert "30000" in closed.action


async def test_one_answering_address_is_enough() -> None:
    """The other address is a fact."""
    with listening() as server:
        outcome = await look(port_of(server), name="two.example")
    assert outcome.status is Status.OK
    assert outcome.facts["failed"] == {"127.0.0.2": "refused"}


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        (errno.ECONNRESET, Status.CRITICAL, Reason.RESET),
        (errno.EADDRNOTAVAIL, Status.UNKNOWN, Reason.PROBER_STARVED),
        (errno.EACCES, Status.CRITICAL, Reason.BLOCKED_LOCALLY),
    ],
)
async def test_errors_of_the_kernel(number: int, status: Status, reason: Reason) -> None:
    """Reset is a reason here, unlike for a Resource; our own limits are unknown, proven or not."""
    outcome = await look(443, context(NAMES, sockets_that_fail(number)))
    assert (outcome.status, outcome.reason) == (status, reason)


async def test_a_blocked_relay_range_is_seen_through_a_real_firewall() -> None:
    """A router that rejects 30000 to 31000 and admits 443."""
    with namespace() as here, namespace() as there:
        _, address = link(here, there)
        there.nft(
            "table inet f {\n chain i {\n type filter hook input priority 0\n"
            " tcp dport 30000-31000 reject with icmpx admin-prohibited\n }\n}\n"
        )
        with there.open_socket(socket.AF_INET, socket.SOCK_STREAM) as server:
            server.bind((address, 443))
            server.listen(8)
            where = context({NAME: (address,)}, here.open_socket)
            open_port = await look(443, where, tls=False)
            blocked = await look(30010, where)
    assert open_port.status is Status.OK
    assert (blocked.status, blocked.reason) == (Status.CRITICAL, Reason.UNREACHABLE)


async def test_cancelling_leaves_no_socket_and_no_task() -> None:
    """Cancelled while connecting and while shaking hands."""
    async with scripted(says()) as port:
        spec = RelaySpec(endpoint=Endpoint(NAME, port), target="t", proven=True, tls=True, timeout_s=0.05)
        assert await check_cancellation(lambda: probe(spec, context(NAMES))) >= 2
        several = dataclasses.replace(spec, endpoint=Endpoint("two.example", port))
        assert await check_cancellation(lambda: probe(several, context(NAMES))) >= 2
