"""One row, read once: whether it fails for sure, what it shows of which address, and whom it follows.

Every fact of a row comes from a check, but is read with suspicion all the same: another version may have written it.
"""

from collections.abc import Mapping

from checks.advice import command
from checks.model import CheckName, Json, Outcome, Reason, Status
from checks.net.endpoint import is_address, is_loopback, parse_endpoint
from checks.tcp_spec import TcpSpec
from checks.tcp_verdict import UpAtOne
from daemon.jobs import Job, Result
from daemon.known import CLOCK_ROW, CONNECTOR_ROW
from daemon.state import State, TargetState

NETWORK_REASONS = frozenset(
    {Reason.TIMEOUT, Reason.UNREACHABLE, Reason.NO_ROUTE, Reason.ADDRESS_FAMILY_UNAVAILABLE}
)  # nothing came back: what a network that is down looks like
SHOWS_UP = frozenset(
    {Reason.REFUSED, Reason.RESET, Reason.MALFORMED_ANSWER, Reason.SERVFAIL, Reason.QUERY_REFUSED}
)  # bad, but somebody there said so
DNS_PORT = 53
SEEN_FROM_HOST = "seen_from_host"  # the fact of a row that was looked at from two seats
NOTHING: tuple[str, ...] = ()
# Looked up once: a member of an enum by its name costs more than the rest of a comparison, and there are many rows.
DNS, TCP = CheckName.DNS, CheckName.TCP
_OK, _CRITICAL, _UNKNOWN, _SKIPPED = Status.OK, Status.CRITICAL, Status.UNKNOWN, Status.SKIPPED
_PENDING = State.PENDING
_NO_REASONS: Mapping[str, str] = {}
_LOOPBACK = ("127.", "::ffff:127.")


class Reading:
    """What one row says.

    - `outcome`: the last one that reached a verdict, held while later runs do not.
    - `bad`: held failing, or critical and not yet confirmed; `certain`: held failing.
    - `good`: the last run ended with a verdict other than critical. Whether it is fresh is asked elsewhere.
    - `downs`: addresses from which nothing came back; `ups`: addresses that said something, whatever it was.
      Loopback is in neither: no network lies between.
    - `silent`: nothing came back from any address that failed: a network that is down would explain it.
    - `unresolved`: it fails because its name has no address.
    - `parent`: the row that tells why this one is not asked.
    - `compared`: it was looked at from two seats. `job`: what is asked, None where nobody asks any more.
    """

    __slots__ = (
        "bad", "certain", "check", "compared", "downs", "good", "id", "job", "outcome", "parent",
        "reason", "result", "row", "silent", "unresolved", "ups",
    )  # fmt: skip

    def __init__(self, row: TargetState, job: Job | None) -> None:
        result = row.result
        outcome = result.outcome
        status = outcome.status
        self.row, self.id, self.result, self.job = row, row.id, result, job
        self.check: CheckName = result.check
        conclusive = status is not _UNKNOWN and status is not _SKIPPED
        self.parent = None if conclusive else _parent(result)
        if not conclusive and row.judged is not None:
            outcome = row.judged.outcome
        self.outcome = outcome
        self.reason: Reason | None = outcome.reason
        critical = status is _CRITICAL
        self.certain = row.failing
        self.bad = row.failing or (critical and row.state is _PENDING)
        self.good = conclusive and not critical
        self.compared = outcome.status is _CRITICAL and SEEN_FROM_HOST in outcome.facts
        self.unresolved = self.silent = False
        self.downs, self.ups = NOTHING, NOTHING
        if self.check is TCP:
            if self.bad or self.good:
                self._read_tcp()
        elif self.check is not DNS and (self.bad or self.good):
            self._read_addresses()

    @property
    def accepted(self) -> tuple[str, ...]:
        """The addresses that accepted, as a row of a port tells."""
        story = self.outcome.story
        if isinstance(story, UpAtOne):
            return story.aim.chosen
        return texts(self.outcome.facts.get("accepted"))

    @property
    def interval_s(self) -> float:
        """How often it is looked at; 0 where nobody looks any more."""
        return 0.0 if self.job is None else self.job.interval_s

    @property
    def resources(self) -> tuple[str, ...]:
        """The Resources behind it."""
        return self.result.resources

    @property
    def since(self) -> float:
        """Since when it has been as it is, in Unix seconds: the first failing look, or the only one that is known."""
        row = self.row
        begin = row.held.held_since if row.failing else row.held.streak_since
        if begin is None:
            begin = (row.judged or row.result).started_at
        return begin

    @property
    def warns(self) -> bool:
        """Tell whether its last verdict is a warning."""
        return self.outcome.status is Status.WARNING

    def asks(self, address: str, port: str) -> str:
        """Return the command that asks a port as this row did: never by a connection where none was made."""
        half_open = self.outcome.facts.get("method") == "half_open"
        return command(address, port, "half_open" if half_open else "connect")

    def _read_addresses(self) -> None:
        match self.check:
            case CheckName.RESOLVER:
                self._read_nameserver()
            case CheckName.CONTROL_PLANE:
                self._read_control_plane()
            case CheckName.RELAY:
                self._read_relay()

    def _read_tcp(self) -> None:
        story = self.outcome.story
        if isinstance(story, UpAtOne):  # by far the most: their facts need not be made
            self.ups = away(story.aim.chosen)
            return
        facts = self.outcome.facts
        failed, accepted, job = reasons(facts.get("failed")), texts(facts.get("accepted")), self.job
        if self.outcome.status is not _CRITICAL:
            self.ups = away(accepted) + _speaking(failed)
            return
        self.unresolved = "name_failed" in facts
        if failed:
            self._divide(failed)
            self.ups += away(accepted)
        elif not self.unresolved and job is not None and isinstance(job.spec, TcpSpec) and is_address(job.spec.address):
            self._divide({job.spec.address: str(self.reason)})

    def _read_nameserver(self) -> None:
        host = nameserver_host(self.result.target)
        if host is None or is_loopback(host):
            return
        if self.outcome.status is _OK or "rcode" in self.outcome.facts:
            self.ups = (host,)
        else:
            self._divide({host: str(self.reason)})

    def _read_control_plane(self) -> None:
        facts = self.outcome.facts
        failed = reasons(facts.get("failed_addresses"))
        self.unresolved = self.bad and "addresses" in facts and not facts["addresses"]
        address = facts.get("address")
        if self.outcome.status is not Status.CRITICAL and isinstance(address, str):
            self.ups = away((address,))
        elif failed:
            if facts.get("failed_phase") in (None, "connect"):
                self._divide(failed)
            else:
                self.ups = away(texts(facts.get("address")))

    def _read_relay(self) -> None:
        facts = self.outcome.facts
        silent = reasons(facts.get("failed"))
        addresses = texts(facts.get("addresses"))
        self.unresolved = self.outcome.status is not _OK and "addresses" in facts and not addresses
        if "connect_seconds" in self.outcome.measurements:
            self.ups = away(tuple(a for a in addresses if a not in silent))
        self._divide(silent)

    def _divide(self, failed: Mapping[str, str]) -> None:
        """Tell the addresses from which nothing came back from those that said something."""
        if len(failed) == 1:  # nearly always, and made for thousands of rows
            ((address, reason),) = failed.items()
            if reason in NETWORK_REASONS:
                self.downs = away((address,))
                self.silent = self.downs is not NOTHING
            elif reason in SHOWS_UP:
                self.ups += away((address,))
            return
        self.downs += away(tuple(a for a, reason in failed.items() if reason in NETWORK_REASONS))
        self.ups += _speaking(failed)
        self.silent = bool(self.downs) and all(reason in NETWORK_REASONS for reason in failed.values())


def away(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses that are not loopback: what is on this host itself is never explained by a network."""
    if len(addresses) == 1:
        return NOTHING if _is_local(addresses[0]) else addresses
    return tuple([a for a in addresses if not _is_local(a)]) if addresses else NOTHING


def _is_local(address: str) -> bool:
    """Tell whether an address is of the loopback, also where IPv6 maps it."""
    return address.startswith(_LOOPBACK) or address == "::1"


def reasons(value: Json) -> Mapping[str, str]:
    """Return the reason by address in a fact that should hold them."""
    if not value or not (type(value) is dict or isinstance(value, Mapping)):
        return _NO_REASONS
    if len(value) == 1:  # nearly always
        ((address, reason),) = value.items()
        return value if type(reason) is str else {address: str(reason)}  # type: ignore[return-value]  # just seen
    if all(type(reason) is str for reason in value.values()):
        return value  # type: ignore[return-value]  # just seen
    return {address: str(reason) for address, reason in value.items()}


def _speaking(failed: Mapping[str, str]) -> tuple[str, ...]:
    return away(tuple(a for a, reason in failed.items() if reason in SHOWS_UP)) if failed else NOTHING


def texts(value: Json) -> tuple[str, ...]:
    """Return the texts in a fact that should be a list of them, or is a single one."""
    if not value:
        return NOTHING
    if isinstance(value, str):
        return (value,)
    if type(value) is tuple and len(value) == 1 and type(value[0]) is str:  # nearly always
        return value  # type: ignore[return-value]  # just seen
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, tuple | list) else ()


def nameserver_host(target: str) -> str | None:
    """Return the address of a nameserver by the name of its row; None when it has none."""
    try:
        host = parse_endpoint(target, DNS_PORT).host
    except ValueError:
        return None
    return host if is_address(host) else None


def matrix_of(outcome: Outcome) -> Mapping[str, Mapping[str, Json]]:
    """Return what each nameserver said of a name: its row's target → class, reason, evidence."""
    matrix = outcome.facts.get("matrix")
    if not matrix or not isinstance(matrix, Mapping):
        return {}
    return {by: cell for by, cell in matrix.items() if isinstance(cell, Mapping) and isinstance(cell.get("class"), str)}


def _parent(result: Result) -> str | None:
    outcome = result.outcome
    if outcome.reason is Reason.NOT_RUNNING and result.check is not CheckName.CONNECTOR:
        return CONNECTOR_ROW
    if outcome.reason is not Reason.DEPENDENCY_FAILED:
        return None
    parent = outcome.facts.get("parent")
    if isinstance(parent, str):
        return parent
    return CLOCK_ROW if result.check is CheckName.CONTROL_PLANE else None
