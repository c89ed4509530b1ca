"""What a person reads about a control-plane endpoint: one line of what was seen, and what to do about it."""

import shlex

from checks.model import Reason, Status
from checks.net.exchange import Exchange, Phase
from checks.net.url import Url

STARVED = "This host ran out of descriptors, ports or memory, so nothing was learned. Repeat: ulimit -n; ss -s; free -m"
_CA_FILE = "Make control_plane.ca_file a PEM file that this daemon's user can read."
_DATES = "Compare this host's clock (healthctl check --only clock); if it is right, tell Twingate. {tls}"
_BY_REASON = {
    Reason.PROBER_STARVED: STARVED,
    Reason.PERMISSION_DENIED: _CA_FILE,
    Reason.NOT_FOUND: _CA_FILE,
    Reason.DEPENDENCY_FAILED: "Correct this host's clock first. Repeat: healthctl check --only clock",
    Reason.NO_IPV4: "Ask why the nameserver gives no IPv4 address; Relays need IPv4. Repeat: dig {host} A",
    Reason.HTTP_STATUS: "Look at Twingate's status page, then for a proxy that stands in between. {head}",
    Reason.TLS_INTERCEPTED: "Exempt *.twingate.com from TLS inspection: the Connector accepts no other chain. {tls}",
    Reason.TLS_UNTRUSTED: "Find out who answers for {host}; a private CA belongs into control_plane.ca_file. {tls}",
    Reason.TLS_NAME_MISMATCH: "Another server answers for {host}: compare its address with what DNS should say. {tls}",
    Reason.TLS_EXPIRED: _DATES,
    Reason.TLS_NOT_YET_VALID: _DATES,
}
_BY_PHASE = {
    Phase.CONNECT: "Allow TCP {port} from this host to {host} in routes and firewalls. {tcp}",
    Phase.TLS: "TCP works and TLS does not: look for a firewall or proxy that inspects or cuts TLS. {tls}",
    Phase.HTTP: "The connection works and HTTP does not: look for a proxy that stands in between. {head}",
}
_CONNECT_CLAUSES = {
    Reason.REFUSED: "refused the connection",
    Reason.TIMEOUT: "did not accept a connection within the time-out",
    Reason.UNREACHABLE: "is unreachable",
    Reason.NO_ROUTE: "has no route from this host",
    Reason.BLOCKED_LOCALLY: "is blocked by this host's own firewall",
    Reason.RESET: "reset the connection",
    Reason.ADDRESS_FAMILY_UNAVAILABLE: "can't be reached: this host has no IPv6",
}


def answer_text(url: Url, best: Exchange, *, failed: int, asked: int, reason: Reason | None) -> str:
    """Tell what an address answered; `failed` of `asked` addresses were not usable."""
    status = best.answer.status if best.answer else 0
    how = f" over {best.certificate.protocol}" if best.certificate else " without TLS"
    text = f"{url.endpoint.host} answers with HTTP {status}{how} in {best.seconds[Phase.HTTP] * 1000:.0f} ms"
    if reason is Reason.NO_IPV4:
        return f"{text}, over IPv6 only: the name has no IPv4 address"
    return f"{text}; {failed} of {asked} addresses failed" if failed and reason is None else text


def failure_text(url: Url, best: Exchange, *, asked: int, status: Status, reason: Reason | None) -> str:
    """Tell how the address that came furthest failed."""
    host, evidence = url.endpoint.host, best.error.evidence if best.error else ""
    match status, reason:
        case Status.SKIPPED, _:
            return f"{host}: {evidence}, but this host's clock is off"
        case Status.UNKNOWN, _:
            return f"{host} was not judged: {evidence}"
        case _, Reason.NO_IPV4:
            text = f"{host} has IPv6 addresses only, and none accepts: {evidence}"
        case _, Reason.TLS_INTERCEPTED:
            text = f"TLS to {host} is intercepted: {evidence}"
        case _, Reason.TLS_EXPIRED | Reason.TLS_NOT_YET_VALID:
            text = f"{host}: {evidence}, by this host's clock"
        case _ if best.phase is Phase.CONNECT and best.error:
            what = _CONNECT_CLAUSES.get(best.error.reason, evidence)
            others = f"; all {asked} addresses failed" if asked > 1 else ""
            text = f"{host}: {best.address} port {url.endpoint.port} {what}{others}"
        case _:
            text = f"{host}: {evidence}"
    return text


def action(url: Url, best: Exchange, reason: Reason) -> str:
    """Return what to do, and the command that shows the same by hand."""
    host, port = shlex.quote(url.endpoint.host), url.endpoint.port
    where = shlex.quote(f"[{best.address}]:{port}" if ":" in best.address else f"{best.address}:{port}")
    template = _BY_REASON.get(reason) or _BY_PHASE[best.phase]
    return template.format(
        host=host,
        port=port,
        tls=f"Repeat: openssl s_client -connect {where} -servername {host} -showcerts </dev/null",
        tcp=f"Repeat: nc -vz {shlex.quote(best.address)} {port}",
        head=f"Repeat: curl -svI --noproxy '*' {shlex.quote(str(url))}",
    )
