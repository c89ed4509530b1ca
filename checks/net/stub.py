"""What the Connector's resolver would make of a name: hosts file, nameservers, search list and ndots.

Never getaddrinfo: it asks from this process' place instead of the Connector's, needs a thread for each name, and tells
neither which nameserver failed nor how.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass, Lookup
from checks.net.dnsquestion import why_impossible
from checks.net.dnswire import Asker
from checks.net.endpoint import Endpoint, is_address
from checks.net.resolvconf import Settings, SettingsSource
from checks.net.seat import Resolution, SocketFactory

MAX_ATTEMPTS = 2  # a name takes two time-outs at most: a user has given up by then, and a probe behind it must run too
MIN_ATTEMPT_S = 0.001  # what is left of the bound at the very end may be nothing


class StubResolver:
    """A stub resolver that can also tell what each nameserver said; a `Resolver` (checks.net.seat).

    `timeout_s` bounds one question to one nameserver (5 s, as evdns). Nothing is cached: the question is what a user
    would get now. Bounds in time: `resolve` and `lookup` end within MAX_ATTEMPTS times `timeout_s`.
    """

    def __init__(self, settings: SettingsSource, open_socket: SocketFactory, timeout_s: float) -> None:
        self._settings = settings
        self._asker = Asker(open_socket)
        self._timeout_s = timeout_s
        self._flights: dict[str, _Flight] = {}

    @property
    def nameservers(self) -> tuple[Endpoint, ...]:
        """The nameservers in use, in order, each once; none when the settings could not be read."""
        return self._settings.current().nameservers

    async def ask(self, nameserver: Endpoint, name: str, kind: str, timeout_s: float | None = None) -> Answer:
        """Ask one nameserver one question. Raises: ValueError, when `name` can't be a DNS name."""
        return await self._asker.ask(nameserver, name, kind, timeout_s or self._timeout_s)

    def renew(self) -> None:
        """Use fresh sockets from now on: the seat has moved, or is left."""
        self._asker.renew()

    async def resolve(self, name: str) -> Resolution:
        """Return the addresses of `name`, or why there are none.

        Nameservers are asked from the first on; the next one when the last gave no answer or one that settles
        nothing. Callers that want the same name at the same time share one question: the first asks, the others wait;
        when it is cancelled, one of them asks in its place.
        """
        flight = self._flights.get(name)
        while flight:
            await flight.over.wait()
            if flight.resolution:
                return flight.resolution
            flight = self._flights.get(name)
        flight = self._flights[name] = _Flight()
        try:
            flight.resolution = await self._resolve(name)
            return flight.resolution
        finally:
            del self._flights[name]
            flight.over.set()

    async def lookup(self, name: str, *, thorough: bool, first: int, timeout_s: float | None = None) -> Lookup:
        """Return what each nameserver says (`thorough`), or what number `first` of them, counted round, says."""
        settings = self._settings.current()
        known = _without_nameserver(name, settings)
        if known or not settings.nameservers:
            return known or Lookup(name=name, problems=settings.problems)
        nameservers, problems = settings.nameservers, settings.problems
        impossible = why_impossible(name)
        if impossible:
            return Lookup(name=name, nameservers=nameservers, problems=problems, impossible=impossible)
        walk = _Walk(self._asker, settings, timeout_s or self._timeout_s)
        if len(nameservers) == 1 or not thorough:
            answers: tuple[Answer, ...] = (await walk.through(nameservers[first % len(nameservers)], name),)
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(walk.through(nameserver, name)) for nameserver in nameservers]
            answers = tuple(task.result() for task in tasks)
        return Lookup(name=name, answers=answers, nameservers=nameservers, problems=problems)

    async def _resolve(self, name: str) -> Resolution:
        settings = self._settings.current()
        started = asyncio.get_running_loop().time()
        known = _without_nameserver(name, settings)
        if known:
            return Resolution(name=name, addresses=known.local, evidence="hosts file" if known.hosts_file else "")
        if not settings.nameservers:
            evidence = "; ".join(settings.problems) or "no nameserver is known"
            return Resolution(name=name, reason=Reason.PERMISSION_DENIED, evidence=evidence)
        impossible = why_impossible(name)
        if impossible:
            return Resolution(name=name, reason=Reason.NXDOMAIN, evidence=impossible)
        walk = _Walk(self._asker, settings, self._timeout_s)
        answers: list[Answer] = []
        for nameserver in settings.nameservers:
            answers.append(await walk.through(nameserver, name))
            if answers[-1].klass not in _NEXT or walk.over:
                break
        best = most_specific(answers)
        seconds = asyncio.get_running_loop().time() - started
        evidence = f"{best.by}: {best.evidence}"
        return Resolution(
            name=name, addresses=best.addresses, reason=reason_of(best), evidence=evidence, seconds=seconds
        )


class _Flight:
    """A resolution under way, and who waits for it. `resolution` stays None when the one who asked was cancelled."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.resolution: Resolution | None = None


class _Walk:
    """One lookup through the candidates of a name, all within one bound of time."""

    def __init__(self, asker: Asker, settings: Settings, timeout_s: float) -> None:
        self._asker = asker
        self._settings = settings
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + timeout_s * min(len(settings.nameservers), MAX_ATTEMPTS)

    @property
    def over(self) -> bool:
        """Tell whether the bound is used up."""
        return self._loop.time() >= self._end

    async def through(self, nameserver: Endpoint, name: str) -> Answer:
        """Ask one nameserver for each candidate until one has an address; else return the answer for `name` as it is.

        An answer without an address leads to the next candidate, whatever its code, as in evdns; silence ends it.
        """
        plain = absolute(name)
        answers: dict[str, Answer] = {}
        for candidate in candidates(name, self._settings):
            if candidate != plain and why_impossible(candidate):
                continue  # only with this suffix it gets too long
            answer = answers[candidate] = await self._address(nameserver, candidate)
            if answer.klass in _END or self.over:
                return answer
        return answers[plain]

    async def _address(self, nameserver: Endpoint, candidate: str) -> Answer:
        """Ask for A, and for AAAA only when the nameserver knows the name and has no A: A decides."""
        answer = await self._asker.ask(nameserver, candidate, "A", self._left())
        if answer.klass is not AnswerClass.NO_ADDRESS or self.over:
            return answer
        other = await self._asker.ask(nameserver, candidate, "AAAA", self._left())
        seconds = answer.seconds + other.seconds
        return replace(other if other.klass is AnswerClass.ADDRESS else answer, seconds=seconds)

    def _left(self) -> float:
        """Return how long the next question may take."""
        return min(self._timeout_s, max(self._end - self._loop.time(), MIN_ATTEMPT_S))


_NEXT = (AnswerClass.TIMEOUT, AnswerClass.ERROR, AnswerClass.UNASKED)
_END = (AnswerClass.ADDRESS, AnswerClass.TIMEOUT, AnswerClass.UNASKED)

_SPECIFIC = (
    Reason.NXDOMAIN,
    Reason.NO_ADDRESS,
    Reason.PROBER_STARVED,  # a nameserver that could not be asked may well know the name: not the target's fault
    Reason.PERMISSION_DENIED,
    Reason.QUERY_REFUSED,
    Reason.SERVFAIL,
    Reason.MALFORMED_ANSWER,
    Reason.TIMEOUT,
)
"""Failures of several nameservers, the one that tells most about the name first."""


def most_specific(answers: Sequence[Answer]) -> Answer:
    """Return the answer that tells most: an address, else the most specific failure; the earliest of equals."""
    order = {reason: rank for rank, reason in enumerate(_SPECIFIC)}
    return min(answers, key=lambda a: order.get(reason, len(order)) if (reason := reason_of(a)) else -1)


def reason_of(answer: Answer) -> Reason | None:
    """Return the reason of an answer's class: how a nameserver stays silent says nothing about the name."""
    return Reason.TIMEOUT if answer.klass is AnswerClass.TIMEOUT else answer.reason


def absolute(name: str) -> str:
    """Return the name with its final dot."""
    return name if name.endswith(".") else name + "."


def candidates(name: str, settings: Settings) -> list[str]:
    """Return the absolute names to try, in order: as it is first when it has at least `ndots` dots, else last.

    Source: resolv.conf(5), `search` and `ndots`.
    """
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{domain}." for domain in settings.search]
    alone = [absolute(name)]
    return alone + searched if name.count(".") >= settings.ndots else searched + alone


def _without_nameserver(name: str, settings: Settings) -> Lookup | None:
    """Return what is known without asking anyone: a literal address, or a line of the hosts file."""
    if is_address(name):
        return Lookup(name=name, local=(name,), nameservers=settings.nameservers)
    found = settings.hosts.get(name.lower())
    if not found:
        return None
    family = tuple(address for address in found if ":" not in address) or found  # all IPv4 if there is one
    return Lookup(
        name=name, local=family, hosts_file=True, nameservers=settings.nameservers, problems=settings.problems
    )
