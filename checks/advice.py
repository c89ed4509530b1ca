"""What a failed TCP connection looks like, what it means, and what to do: one wording for every check that connects."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from checks.model import Reason
from checks.policy import Method

MAX_SUMMARY = 120  # one line of a terminal or a chat message
_COMMAND_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class _Words:
    seen: str  # completes "10.1.2.3:5432 …"; {ms} and {s} are the time that it took
    meaning: str


_WORDS: Mapping[Reason, _Words] = {
    Reason.REFUSED: _Words(
        "refused the connection in {ms}",
        "Nothing listens on this port, or a firewall rejects with a reset. On that host see that the service runs and "
        "listens on this address and not on 127.0.0.1 alone (`ss -ltn`), that the port is the right one, and that its "
        "own firewall admits this host.",
    ),
    Reason.TIMEOUT: _Words(
        "did not answer within {s}",
        "Packets are dropped on the way: a firewall or security group, a missing way back, a host that is down, or a "
        "wrong address. Look at the security group and firewall between this host and that one, and at its routes.",
    ),
    Reason.UNREACHABLE: _Words(
        "is unreachable: the network said so after {ms}",
        "The last router, or this host's own ARP, finds no such host, or a firewall rejects with ICMP. See that the "
        "host is up and the address right, and look for a rejecting rule on the way.",
    ),
    Reason.RESET: _Words(
        "accepted the connection and reset it after {ms}",
        "Something on the way (inspection, an intrusion filter, a load balancer without a live backend) or the peer "
        "itself ends connections as soon as they are made.",
    ),
    Reason.NO_ROUTE: _Words(
        "can't be reached: there is no route",
        "This host, or a router on the way, has no route to that network. Compare `ip route get {address}` with "
        "what the network's plan says.",
    ),
    Reason.BLOCKED_LOCALLY: _Words(
        "can't be reached: this host's own policy forbids it",
        "This host's own firewall or policy (nftables, a `prohibit` route, SELinux, eBPF) blocks the connection; for "
        "IPv6 also a router that answers 'administratively prohibited'. See `nft list ruleset`, "
        "`ip route get {address}` and `ip rule`.",
    ),
    Reason.ADDRESS_FAMILY_UNAVAILABLE: _Words(
        "can't be reached: this host has no usable IPv6",
        "The destination has only IPv6, and this host no IPv6 address to start from. Give this host IPv6, or the name "
        "an A record.",
    ),
}
_DNS_MEANING: Mapping[Reason, str] = {
    Reason.NXDOMAIN: "The name does not exist for the nameservers in use: a typing error, a missing record, or a "
    "private zone that this host's nameservers do not know.",
    Reason.NO_ADDRESS: "The name exists, but has no address: look for a missing A record, or a resolver that strips "
    "private addresses (rebind protection).",
    Reason.SERVFAIL: "The nameserver could not get an answer itself: look at its forwarders and at DNSSEC.",
    Reason.QUERY_REFUSED: "The nameserver does not answer this host: look at its access list.",
    Reason.MALFORMED_ANSWER: "The answer could not be read: look at what stands between this host and its nameserver.",
    Reason.TIMEOUT: "No nameserver answered: look at /etc/resolv.conf, at the nameservers, and at port 53 on the way.",
}
UNASKED = (
    "Mend what kept us from asking: the Connector does not run (row connector:process), its helper "
    "connector-health-netns is missing, or this process is at a limit (ulimit -n, free memory)."
)
"""What to do when no question could be sent at all."""
CONNECT_FAILURES = frozenset(_WORDS) - {Reason.RESET}
"""Every reason that says something about a destination that does not accept."""
DNS_FAILURES = frozenset(_DNS_MEANING)
"""Every reason that says that a name has no usable address."""


def what_was_seen(reason: Reason, seconds: float, timeout_s: float) -> str:
    """Return the clause that follows the destination in a summary ("refused the connection in 1 ms")."""
    words = _WORDS.get(reason)
    if words is None:
        return f"could not be tried ({reason})"
    return words.seen.format(ms=duration(seconds), s=duration(timeout_s))


def what_to_do(reason: Reason, address: str, port: int, method: Method = "connect") -> str:
    """Return what it means and the command that repeats it by hand."""
    words = _WORDS.get(reason)
    meaning = words.meaning.format(address=address) + " " if words else ""
    return f"{meaning}Repeat it by hand on this host: {command(address, port, method)}"


def what_to_do_about_name(reason: Reason, name: str) -> str:
    """Return what a failed lookup means and the command that repeats it by hand."""
    meaning = _DNS_MEANING.get(reason)
    if meaning is None:
        return f"This says nothing about the name. {UNASKED}"
    return f"{meaning} Repeat it by hand on this host: dig {shlex.quote(name)} A"


def command(address: str, port: int | str, method: Method = "connect") -> str:
    """Return the shell command that does the same by hand; a half-open probe needs root there too, and says so."""
    if method == "half_open":
        family = "-6 " if ":" in address else ""
        return f"nmap {family}-Pn -sS -p {port} {shlex.quote(address)}   # as root; needs nmap"
    return f"nc -vz -w {_COMMAND_TIMEOUT_S} {shlex.quote(address)} {port}"


def duration(seconds: float) -> str:
    """Write a duration for a person: 3 ms, 1.2 s."""
    if seconds < 0.001:
        return "under 1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def one_line(text: str) -> str:
    """Cut a summary that a very long name made longer than a line."""
    return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 1] + "…"
