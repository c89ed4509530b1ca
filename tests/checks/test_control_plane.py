"""The control plane: every way in which a Controller can be there, half there or not there."""

import dataclasses
import socket
from pathlib import Path

import pytest

from checks.control_plane import CRITICAL_REASONS, probe
from checks.model import Reason, Status
from checks.net.seat import SocketFactory, open_socket
from tests.support.cancel import check_cancellation
from tests.support.controller import HOST, NAMES, look, spec
from tests.support.fakes import context
from tests.support.nginx import Site, nginx
from tests.support.peers import says, scripted
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


async def test_a_good_controller_is_ok_with_every_phase_measured(tmp_path: Path, root: Authority, port: int) -> None:
    """Any status below 500 is reachable; phases, certificate and address are told; one harmless HEAD was asked."""
    pair = root.intermediate("Issuing CA Ltd").issue(HOST)
    with nginx(tmp_path, Site(port=port, pair=pair, directives="return 403;")) as access:
        row = await look(spec(port, root))
    assert (row.status, row.reason) == (Status.OK, None)
    assert row.summary.startswith(f"{HOST} answers with HTTP 403 over TLSv1.3 in ")
    assert set(row.measurements) == {
        "resolve_seconds",
        "connect_seconds",
        "tls_seconds",
        "http_seconds",
        "certificate_not_after_timestamp_seconds",
    }
    assert row.measurements["certificate_not_after_timestamp_seconds"] == int((NOW + DAY).timestamp())
    facts = row.facts
    assert (facts["addresses"], facts["address"], facts["http_status"]) == (("127.0.0.1",), "127.0.0.1", 403)
    assert (facts["names"], facts["protocol"], facts["tls_intercepted"]) == ((HOST,), "TLSv1.3", False)
    assert "Issuing CA Ltd" in str(facts["issuer"])
    assert len(facts["chain_issuers"]) == 3  # type: ignore[arg-type]
    assert "failed_addresses" not in facts
    assert access.read_text() == "HEAD /api/graphql/ HTTP/1.1 403 connector-health\n"


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (200, Status.OK, None),
        (404, Status.OK, None),
        (429, Status.OK, None),
        (500, Status.WARNING, Reason.HTTP_STATUS),
        (503, Status.WARNING, Reason.HTTP_STATUS),
    ],
)
async def test_http_status(
    tmp_path: Path, root: Authority, port: int, code: int, status: Status, reason: Reason | None
) -> None:
    """Below 500 the Controller is reachable, 429 too; from 500 on it is there and in trouble: a warning."""
    with nginx(tmp_path, Site(port=port, pair=root.issue(HOST), directives=f"return {code};")):
        row = await look(spec(port, root))
    assert (row.status, row.reason, row.facts["http_status"]) == (status, reason, code)


async def test_a_configured_path_is_asked_for(tmp_path: Path, root: Authority, port: int) -> None:
    """A URL with a path is asked for as it is written; plain http is spoken when the URL says so."""
    wanted = dataclasses.replace(spec(port, root), url=f"http://{HOST}:{port}/ping?x=1")
    with nginx(tmp_path, Site(port=port)) as access:
        row = await look(wanted)
    assert row.status is Status.OK
    assert "without TLS" in row.summary
    assert set(row.measurements) == {"resolve_seconds", "connect_seconds", "http_seconds"}
    assert "tls_intercepted" not in row.facts
    assert access.read_text().startswith("HEAD /ping?x=1 ")


async def test_nobody_listens(port: int) -> None:
    """A refused connection is critical, with the address, the port and the command to repeat it."""
    row = await look(spec(port, None))
    assert (row.status, row.reason) == (Status.CRITICAL, Reason.REFUSED)
    assert row.summary == f"{HOST}: 127.0.0.1 port {port} refused the connection"
    assert f"nc -vz 127.0.0.1 {port}" in row.action
    assert row.facts["failed_addresses"] == {"127.0.0.1": "refused"}


async def test_a_name_that_does_not_resolve(port: int) -> None:
    """The resolver's reason is the row's, critical: without an address there is no control plane."""
    row = await look(spec(port, None), {"other.example": ()})
    assert (row.status, row.reason) == (Status.CRITICAL, Reason.NXDOMAIN)
    assert f"dig {HOST} A" in row.action


async def test_one_address_that_answers_is_enough(tmp_path: Path, root: Authority, port: int) -> None:
    """Other addresses that fail, each in its own way, are a fact and no fault."""
    sites = (
        Site(port=port, pair=root.issue(HOST), address="127.0.0.3"),
        Site(port=port, pair=root.issue(HOST), address="127.0.0.2", directives="return 503;"),
        Site(port=port, pair=root.issue("other.example"), address="127.0.0.4"),
    )
    names = {HOST: ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")}
    with nginx(tmp_path, *sites):
        row = await look(spec(port, root), names)
    assert row.status is Status.OK, row.facts
    assert row.summary.endswith("3 of 4 addresses failed")
    assert row.facts["address"] == "127.0.0.3"
    assert row.facts["failed_addresses"] == {
        "127.0.0.1": "refused",
        "127.0.0.2": "http_status",
        "127.0.0.4": "tls_name_mismatch",
    }


async def test_the_address_that_came_furthest_decides(tmp_path: Path, root: Authority, port: int) -> None:
    """When none is usable, a certificate tells more than a refusal."""
    with nginx(tmp_path, Site(port=port, pair=root.issue("other.example"), address="127.0.0.2")):
        row = await look(spec(port, root), {HOST: ("127.0.0.1", "127.0.0.2")})
    assert row.reason is Reason.TLS_NAME_MISMATCH


async def test_at_most_eight_addresses_are_asked(port: int) -> None:
    """A name with hundreds of addresses does not make us open hundreds of connections."""
    row = await look(spec(port, None), {HOST: tuple(f"127.0.1.{n}" for n in range(1, 100))})
    assert len(row.facts["addresses"]) == 8  # type: ignore[arg-type]
    assert row.summary.endswith("all 8 addresses failed")


async def test_only_ipv6(tmp_path: Path, root: Authority, port: int) -> None:
    """IPv6 addresses alone are a warning when one answers, and critical as `no_ipv4` when none does."""
    names = {HOST: ("::1",)}
    row = await look(spec(port, root), names)
    assert (row.status, row.reason) == (Status.CRITICAL, Reason.NO_IPV4)
    assert row.facts["failed_addresses"] == {"::1": "refused"}
    with nginx(tmp_path, Site(port=port, pair=root.issue(HOST), address="::1")):
        row = await look(spec(port, root), names)
    assert (row.status, row.reason) == (Status.WARNING, Reason.NO_IPV4)


def refusing(number: int) -> SocketFactory:
    """Return a socket factory of a host that has run out."""

    def make(_family: int, _kind: int) -> socket.socket:
        raise OSError(number, "out of descriptors")

    return make


async def test_our_own_limits_are_not_the_controllers_fault(port: int) -> None:
    """Without a descriptor nothing was learned: unknown, never critical."""
    rows = await probe(spec(port, None), context(NAMES, refusing(24)))
    row = rows[f"{HOST}:{port}"]
    assert (row.status, row.reason) == (Status.UNKNOWN, Reason.PROBER_STARVED)


async def test_one_address_that_we_could_not_ask_leaves_it_open(port: int) -> None:
    """If one address was not asked for want of a descriptor, the others' refusals prove nothing."""
    made = 0

    def second_fails(family: int, kind: int) -> socket.socket:
        nonlocal made
        made += 1
        return refusing(24)(family, kind) if made == 2 else open_socket(family, kind)

    rows = await probe(spec(port, None), context({HOST: ("127.0.0.1", "127.0.0.2")}, second_fails))
    assert rows[f"{HOST}:{port}"].status is Status.UNKNOWN


@pytest.mark.parametrize("good", [True, False], ids=["good", "untrusted"])
async def test_cancelling_leaves_nothing(root: Authority, tmp_path: Path, *, good: bool) -> None:
    """Whenever the probe is cancelled, no socket and no task is left; also while it looks at a bad certificate."""
    issuer = root if good else Authority(tmp_path, "Nobody Knows")
    answer = says(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with scripted(answer, issuer.issue(HOST), "0.0.0.0") as port:

        async def once() -> None:
            names = {HOST: ("127.0.0.1", "127.0.0.2")}
            await probe(spec(port, root), context(names))

        assert await check_cancellation(once) > 6


def test_every_status_of_the_documentation_is_there() -> None:
    """The module's docstring is what `healthctl explain` prints: it names each critical reason."""
    import checks.control_plane as module  # noqa: PLC0415 - the module itself is under test

    assert all(f"`{reason}`" in (module.__doc__ or "") for reason in CRITICAL_REASONS)
