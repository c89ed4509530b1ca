"""Every nameserver asked for the name of one Resource, both types, side by side; addresses go on as they come."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from checks.model import Outcome, Reason
from checks.name_verdict import judge
from checks.net.answers import Answer, AnswerClass, Lookup
from checks.net.endpoint import Endpoint
from checks.net.seat import Seat
from checks.net.stub import absolute
from daemon.trace.facts import NameSeen

MARGIN_S = 0.5  # a walk through several questions to one nameserver may not take twice the time of one attempt
HOSTS_FILE = "hosts file"
MAX_NAMESERVERS = 8  # a resolver has three


@dataclass(slots=True)
class NameTrace:
    """One name and what is known of it so far; may be read at any time, also when the time is over."""

    name: str
    keep: int
    answers: list[Answer] = field(default_factory=list)
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    outcome: Outcome | None = None
    host: Outcome | None = None

    def seen(self) -> NameSeen:
        """Return it as a fact; where not all nameservers were waited for, the verdict is on those that were."""
        if self.outcome is None and self.answers:
            decisive = tuple(answer for answer in self.answers if answer.kind == "A")
            self.outcome = judge(Lookup(name=self.name, answers=decisive or tuple(self.answers)), self.keep)
        order = {"A": 0, "AAAA": 1}
        answers = sorted(self.answers, key=lambda a: (a.by, order.get(a.kind, 2)))
        return NameSeen(
            name=self.name,
            outcome=self.outcome,
            answers=tuple(answers),
            addresses=MappingProxyType(dict(self.addresses)),
            host=self.host,
        )

    async def ask(self, seat: Seat, timeout_s: float, found: Callable[[str], None]) -> None:
        """Ask every nameserver of a seat for the name; `found` hears each address to connect to, once.

        IPv4 addresses are handed on at once, IPv6 ones when nobody has an IPv4 address, as for `healthctl check`.
        """
        count = max(1, min(len(seat.resolver.nameservers), MAX_NAMESERVERS))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(seat, number, timeout_s, found)) for number in range(count)]
        lookups = [task.result() for task in tasks]
        answers = tuple(answer for lookup in lookups for answer in lookup.answers)
        lookup = replace(lookups[0], answers=answers)
        self.outcome = judge(lookup, self.keep)
        if not self.addresses:
            for answer in answers:
                self._hand_on(answer.addresses, answer.by, found)

    async def ask_other_type(self, seat: Seat, timeout_s: float) -> None:
        """Complete the matrix: AAAA where A decided, from every nameserver that answered at all."""
        asked = {(answer.by, answer.kind) for answer in self.answers}
        more = [a for a in self.answers if a.rcode is not None and a.kind == "A" and (a.by, "AAAA") not in asked]
        async with asyncio.TaskGroup() as group:
            for answer in more:
                group.create_task(self._aaaa(seat, answer, timeout_s))

    async def look_again(self, host: Seat, timeout_s: float) -> None:
        """Ask from the host's own place, whose resolver may be another."""
        lookup = await host.resolver.lookup(self.name, thorough=True, first=0, timeout_s=timeout_s)
        self.host = judge(lookup, self.keep)

    async def _one(self, seat: Seat, number: int, timeout_s: float, found: Callable[[str], None]) -> Lookup:
        """Ask one nameserver; one that is silent too long for a single attempt of the Connector's counts as silent."""
        lookup = None
        try:
            async with asyncio.timeout(timeout_s + MARGIN_S):
                lookup = await seat.resolver.lookup(self.name, thorough=False, first=number, timeout_s=timeout_s)
        except TimeoutError:
            nameservers = seat.resolver.nameservers
            if not nameservers:
                raise
            lookup = Lookup(
                name=self.name,
                answers=(_silent(nameservers[number % len(nameservers)], self.name, timeout_s),),
                nameservers=nameservers,
            )
        self.answers.extend(lookup.answers)
        self._hand_on(lookup.local, HOSTS_FILE if lookup.hosts_file else "", found)
        for answer in lookup.answers:
            if answer.kind == "A":
                self._hand_on(answer.addresses, answer.by, found)
        return lookup

    async def _aaaa(self, seat: Seat, answer: Answer, timeout_s: float) -> None:
        self.answers.append(await seat.resolver.ask(answer.nameserver, answer.name, "AAAA", timeout_s))

    def _hand_on(self, addresses: tuple[str, ...], by: str, found: Callable[[str], None]) -> None:
        for address in addresses:
            givers = self.addresses.get(address)
            if givers is None and len(self.addresses) < self.keep:
                self.addresses[address] = (by,) if by else ()
                found(address)
            elif givers is not None and by and by not in givers:
                self.addresses[address] = (*givers, by)


def _silent(nameserver: Endpoint, name: str, timeout_s: float) -> Answer:
    return Answer(
        nameserver=nameserver,
        name=absolute(name),
        kind="A",
        klass=AnswerClass.TIMEOUT,
        reason=Reason.TIMEOUT,
        seconds=timeout_s,
        evidence=f"no address within {timeout_s:.3g} s",
    )
