"""TLS: what is verified, what is not, what is shown, and what is left behind."""

import asyncio
import socket
from pathlib import Path

import pytest

from checks.model import Reason
from checks.net.certificates import Certificate, date_problem, issued_as_expected
from checks.net.errors import NetError
from checks.net.tcp import connect
from checks.net.tls import TlsStream, judge_untrusted, show_chain, start_tls
from tests.support.cancel import check_cancellation
from tests.support.fakes import context
from tests.support.nginx import Site, nginx
from tests.support.peers import Script, hang_up, reset, says, scripted, silence
from tests.support.pki import NOW, Authority, KeyPair
from tests.support.servers import free_port

NAME = "acme.controller.example"
SHORT_S = 0.4
AMPLE_S = 5.0


async def dial(port: int, ca_file: Path | None, name: str = NAME, timeout_s: float = AMPLE_S) -> TlsStream:
    """Connect and start TLS."""
    sock = await connect(context().seat, "127.0.0.1", port, timeout_s)
    return await start_tls(sock, name, ca_file=str(ca_file) if ca_file else None, timeout_s=timeout_s)


async def failure(port: int, ca_file: Path | None, name: str = NAME, timeout_s: float = AMPLE_S) -> NetError:
    """Return how TLS failed."""
    with pytest.raises(NetError) as caught:
        await dial(port, ca_file, name, timeout_s)
    return caught.value


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    """The authority that the tests trust."""
    return Authority(tmp_path)


async def test_a_good_chain_is_shown_from_leaf_to_root(tmp_path: Path, root: Authority) -> None:
    """A completed handshake tells protocol, names, dates and every issuer, the root's own included."""
    pair, port = root.intermediate("Issuing CA Ltd").issue(NAME, "other.example"), free_port()
    with nginx(tmp_path, Site(port=port, pair=pair)):
        stream = await dial(port, root.ca_file)
        stream.close()
    leaf, issuer, anchor = stream.facts.chain
    assert stream.facts.protocol == "TLSv1.3"
    assert leaf.names == (NAME, "other.example")
    assert (leaf.not_before, leaf.not_after) == (int(NOW.timestamp()) - 86400, int(NOW.timestamp()) + 86400)
    assert "Issuing CA Ltd" in leaf.issuer_names
    assert "O=Issuing CA Ltd" in leaf.issuer
    assert issuer.subject == leaf.issuer
    assert anchor.subject == anchor.issuer == issuer.issuer
    assert len(leaf.sha256) == 64


async def test_the_dates_are_left_to_the_caller(tmp_path: Path, root: Authority) -> None:
    """A chain outside its dates by the host's clock verifies; `date_problem` says what is wrong with it, and when."""
    old, young = free_port(), free_port()
    with nginx(tmp_path, Site(port=old, pair=root.expired(NAME)), Site(port=young, pair=root.not_yet_valid(NAME))):
        chains = []
        for port in (old, young):
            stream = await dial(port, root.ca_file)
            stream.close()
            chains.append(stream.facts.chain)
    now = NOW.timestamp()
    assert date_problem(chains[0], now) == (Reason.TLS_EXPIRED, chains[0][0])
    assert date_problem(chains[1], now) == (Reason.TLS_NOT_YET_VALID, chains[1][0])
    assert date_problem(chains[0], now - 86400) is None


@pytest.mark.parametrize(
    ("now", "problem"),
    [
        pytest.param(50, ("tls_not_yet_valid", "root"), id="before the root"),
        pytest.param(150, None, id="all valid"),
        pytest.param(200, None, id="the last second"),
        pytest.param(201, ("tls_expired", "issuer"), id="after the issuer"),
        pytest.param(301, ("tls_expired", "leaf"), id="after the leaf too"),
    ],
)
def test_every_certificate_of_the_chain_counts(now: float, problem: tuple[str, str] | None) -> None:
    """One certificate outside its dates is enough, whichever it is; both ends of a validity belong to it."""
    chain = tuple(
        Certificate(subject=who, issuer="", issuer_names=(), not_before=begin, not_after=end, names=(), sha256="")
        for who, begin, end in (("leaf", 0, 300), ("issuer", 10, 200), ("root", 100, 400))
    )
    found = date_problem(chain, now)
    assert (found and (found[0], found[1].subject)) == problem


async def test_an_address_is_verified_as_an_address(tmp_path: Path, root: Authority) -> None:
    """A literal address needs a certificate for that address, and gets by without a server name."""
    good, bad = free_port(), free_port()
    with nginx(tmp_path, Site(port=good, pair=root.issue("127.0.0.1")), Site(port=bad, pair=root.issue("127.0.0.9"))):
        (await dial(good, root.ca_file, "127.0.0.1")).close()
        assert (await failure(bad, root.ca_file, "127.0.0.1")).reason is Reason.TLS_NAME_MISMATCH


async def test_wrong_name_and_unknown_issuer_are_told_apart(tmp_path: Path, root: Authority) -> None:
    """A trusted certificate for another name is a mismatch; an untrusted one is untrusted whatever its name."""
    other, stranger = free_port(), free_port()
    unknown = Authority(tmp_path, "Nobody Knows")
    with nginx(
        tmp_path,
        Site(port=other, pair=root.issue("other.example")),
        Site(port=stranger, pair=unknown.issue("other.example")),
    ):
        assert (await failure(other, root.ca_file)).reason is Reason.TLS_NAME_MISMATCH
        assert (await failure(stranger, root.ca_file)).reason is Reason.TLS_UNTRUSTED
        assert (await failure(other, None)).reason is Reason.TLS_UNTRUSTED


async def test_the_hosts_own_store_makes_it_interception(
    tmp_path: Path, root: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root that only this host trusts means inspection, whatever the name on it; nobody's root is untrusted."""
    port = free_port()

    async def again() -> socket.socket:
        return await connect(context().seat, "127.0.0.1", port, AMPLE_S)

    with nginx(tmp_path, Site(port=port, pair=root.issue("other.example"))):
        reason, facts = await judge_untrusted(again, NAME, AMPLE_S)
        assert reason is Reason.TLS_UNTRUSTED
        assert facts is not None
        assert facts.chain[0].names == ("other.example",)
        monkeypatch.setenv("SSL_CERT_FILE", str(root.ca_file))
        reason, facts = await judge_untrusted(again, NAME, AMPLE_S)
        assert reason is Reason.TLS_INTERCEPTED
        assert facts is not None
        assert facts.chain[-1].subject == facts.chain[-1].issuer
        shown = await show_chain(again, NAME, AMPLE_S)
        assert shown is not None
        assert shown.chain[0] == facts.chain[0]


async def test_a_ca_file_is_read_again_when_it_changes(tmp_path: Path, root: Authority) -> None:
    """Replacing the file is enough: no restart, no stale trust."""
    pair, port, ca_file = root.issue(NAME), free_port(), tmp_path / "trusted.pem"
    ca_file.write_bytes(Authority(tmp_path, "Nobody Knows").ca_file.read_bytes())
    with nginx(tmp_path, Site(port=port, pair=pair)):
        assert (await failure(port, ca_file)).reason is Reason.TLS_UNTRUSTED
        ca_file.write_bytes(root.ca_file.read_bytes() + b"\n")
        (await dial(port, ca_file)).close()


async def test_a_ca_file_that_cannot_be_read_is_our_ignorance(tmp_path: Path) -> None:
    """A missing or empty `ca_file` has a reason of its own, and the socket is closed."""
    (tmp_path / "empty.pem").write_text("nothing here")
    async with scripted(silence) as port:
        assert (await failure(port, tmp_path / "missing.pem")).reason is Reason.NOT_FOUND
        assert (await failure(port, tmp_path / "empty.pem")).reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("script", "reason", "evidence"),
    [
        pytest.param(silence, Reason.TIMEOUT, "did not finish", id="silence"),
        pytest.param(reset, Reason.RESET, "ECONNRESET", id="reset"),
        pytest.param(hang_up, Reason.TLS_FAILED, "ended the connection", id="hang up"),
    ],
)
async def test_a_peer_that_does_not_speak_tls(script: Script, reason: Reason, evidence: str) -> None:
    """Silence, a reset and an early end each have their name, within the time-out."""
    async with scripted(script) as port:
        error = await failure(port, None, timeout_s=SHORT_S)
    assert error.reason is reason
    assert evidence in error.evidence


async def test_a_plain_text_port_is_recognised(tmp_path: Path) -> None:
    """An answer that is not TLS is said to be just that."""
    port = free_port()
    with nginx(tmp_path, Site(port=port)):
        error = await failure(port, None)
    assert (error.reason, error.evidence) == (Reason.TLS_FAILED, "the port answers, but not with TLS")


async def test_an_old_protocol_is_refused(tmp_path: Path, root: Authority) -> None:
    """Nothing under TLS 1.2 is spoken."""
    port = free_port()
    old = "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"
    with nginx(tmp_path, Site(port=port, pair=root.issue(NAME), ssl=old)):
        assert (await failure(port, root.ca_file)).reason is Reason.TLS_FAILED


async def test_an_endless_handshake_is_bounded(tmp_path: Path, root: Authority) -> None:
    """A chain without end, and a handshake that dribbles, end as failures within the time-out."""
    pair = root.issue(NAME)
    block = pair.chain.read_bytes()
    huge = KeyPair(chain=tmp_path / "huge.pem", key=pair.key)
    huge.chain.write_bytes(block + root.ca_file.read_bytes() * 400)
    port = free_port()
    with nginx(tmp_path, Site(port=port, pair=huge)):
        assert (await failure(port, root.ca_file)).reason is Reason.TLS_FAILED

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # a record of 16 KiB, a ServerHello of nearly as much
        while not writer.is_closing():
            writer.write(b"\x00")
            await asyncio.sleep(0.01)

    async with scripted(dribble) as port:
        assert (await failure(port, root.ca_file, timeout_s=SHORT_S)).reason in (Reason.TIMEOUT, Reason.TLS_FAILED)


async def test_cancelling_a_handshake_leaves_nothing(root: Authority) -> None:
    """Whenever a handshake is cancelled, no socket stays open; nor when it is let finish."""
    async with scripted(says(), root.issue(NAME)) as port:

        async def once() -> None:
            (await dial(port, root.ca_file)).close()

        assert await check_cancellation(once) > 2


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        pytest.param((), True, id="none expected"),
        pytest.param(("google",), False, id="another's"),
        pytest.param(("google", "ISSUING ca"), True, id="the issuer of the leaf"),
        pytest.param(("Public Roots",), True, id="the root"),
        pytest.param((NAME,), False, id="the subject of the leaf is no issuer"),
    ],
)
def test_expected_issuers_are_found_in_any_issuer_of_the_chain(expected: tuple[str, ...], *, found: bool) -> None:
    """One of the expected texts in the O or CN of any issuer is enough, case ignored."""
    chain = tuple(
        Certificate(subject=subject, issuer="", issuer_names=issuer, not_before=0, not_after=0, names=(), sha256="")
        for subject, issuer in ((NAME, ("Issuing CA Ltd",)), ("Issuing CA Ltd", ("Public Roots Inc", "Root R1")))
    )
    assert issued_as_expected(chain, expected) is found
