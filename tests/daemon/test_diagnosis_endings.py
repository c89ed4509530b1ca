"""How causes end, what lingers and for how long; and what was seen before a fault proves nothing about it."""

from dataclasses import replace

from daemon.diagnosis.diagnostician import Diagnostician
from daemon.diagnosis.memory import CONFIRM_S, MAX_LINGER_S
from daemon.diagnosis.scene import Scene
from tests.support.faults import NS_A, NS_B
from tests.support.scenes import GATEWAY, Place
from tests.support.views import tcp_job

INTERVAL_S, RARE_S = 30.0, 300.0
LINGER_S = 2 * INTERVAL_S + CONFIRM_S
SITES = ("10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2")
RARE = "tcp:10.3.0.1:22"
DOWN = f"NextHopDown:{GATEWAY}"


class Watch:
    """A place that is diagnosed again and again; `rare` is a port that is looked at every five minutes."""

    def __init__(self) -> None:
        self.place = Place()
        self.place.host()
        self.place.nameserver(NS_A)
        self._diagnostician = Diagnostician(lambda: self.place.at)
        self.looked: dict[str, float] = {}

    def see(self, *addresses: str, reason: str | None = None) -> None:
        """Look at these addresses."""
        for address in addresses:
            self.looked[self.place.tcp(address, 443, reason)] = self.place.at

    def rare(self, reason: str | None = None, address: str = "10.3.0.1") -> None:
        """Look at the port that is looked at rarely."""
        row = self.place.tcp(address, 22, reason)
        self.place.jobs[row] = replace(tcp_job(address, 22, row.removeprefix("tcp:")), interval_s=RARE_S)
        self.looked[row] = self.place.at

    def scene(self) -> Scene:
        """Return the scene, with the age of each row."""
        return replace(self.place.scene(), age_s=lambda row: self.place.at - self.looked.get(row.id, self.place.at))

    async def codes(self, after_s: float = 0.0) -> set[str]:
        """Return the causes of so many seconds later, those that are ending in brackets."""
        self.place.at += after_s
        causes = (await self._diagnostician.diagnose(self.scene())).causes
        return {f"({cause.id})" if cause.ending else cause.id for cause in causes}


async def test_a_name_that_half_resolves_ends_no_outage() -> None:
    """Names that one of two nameservers still knows suffer from a dead gateway, and are well in every second look."""
    watch = Watch()
    watch.place.dead = frozenset({GATEWAY})
    watch.place.nameserver(NS_B)
    half = {"ns_10_9_0_53": "timeout", f"ns_{NS_A.replace('.', '_')}": "address"}
    watch.place.nameserver("10.9.0.53", "timeout", status="warning")
    watch.see(*SITES, reason="timeout")
    for _ in range(20):
        watch.place.dns("db.corp.internal", "resolvers_disagree", status="warning", **half)
        assert await watch.codes(INTERVAL_S / 2) == {DOWN}
        watch.place.dns("db.corp.internal")
        assert await watch.codes(INTERVAL_S / 2) == {DOWN}
    watch.place.dead = frozenset()
    watch.see(SITES[0])
    assert await watch.codes(1.0) == {f"({DOWN})"}, "what has not been looked at since is no fault of its own"


async def test_what_is_left_of_a_cause_is_not_the_cause() -> None:
    """A port that is looked at rarely does not bring a cause back that all others refuted; it is waited for."""
    watch = Watch()
    watch.place.dead = frozenset({GATEWAY})
    watch.see(*SITES, reason="timeout")
    watch.rare("timeout")
    for _ in range(4):
        assert await watch.codes(INTERVAL_S) == {DOWN}
    watch.place.dead = frozenset()
    watch.see(*SITES)
    for _ in range(9):
        assert await watch.codes(INTERVAL_S) == {f"({DOWN})"}
    watch.rare()
    assert await watch.codes(INTERVAL_S) == set()


async def test_each_row_is_waited_for_by_its_own_interval() -> None:
    """A second fault shows after two looks at its row, though another row of the cause is looked at rarely."""
    watch = Watch()
    watch.place.dead = frozenset({GATEWAY})
    watch.see(*SITES, reason="timeout")
    watch.rare("timeout")
    await watch.codes()
    watch.place.dead = frozenset()
    watch.see(*SITES[1:])
    watch.see(SITES[0], reason="refused")
    assert await watch.codes(1.0) == {f"({DOWN})"}
    assert await watch.codes(LINGER_S + 1.0) == {f"({DOWN})", f"PortFails:{SITES[0]}:443"}
    assert await watch.codes(MAX_LINGER_S) == {f"PortFails:{SITES[0]}:443", f"PortFails:{RARE.removeprefix('tcp:')}"}


async def test_what_was_up_before_the_silence_proves_nothing() -> None:
    """A port that was looked at before a gateway died does not keep it from being found; one looked at since does."""
    watch = Watch()
    watch.rare()
    watch.place.at += 60.0
    watch.see(*SITES, reason="timeout")
    assert await watch.codes(10.0) == {DOWN}
    after = Watch()
    after.see(*SITES, reason="timeout")
    after.place.at += 10.0
    after.rare()
    assert DOWN not in await after.codes(10.0)


async def test_what_was_up_before_the_silence_saves_no_subnet() -> None:
    """The same of subnets, and of a host of which another port is looked at rarely."""
    watch = Watch()
    watch.see("10.2.0.1", "172.20.0.1")
    watch.rare(address="10.1.0.9")
    watch.place.at += 60.0
    watch.see("10.1.0.1", "10.1.0.2", "10.1.0.3", reason="timeout")
    assert await watch.codes(10.0) == {"SubnetUnreachable:10.1.0.0/16"}


async def test_a_nameserver_that_answers_again_has_to_do_so_twice() -> None:
    """The other one stays critical until the first is confirmed to answer: a lost packet less is no second page."""
    place = Place(failures=2)
    diagnostician = Diagnostician(lambda: place.at)

    async def severities() -> dict[str, str]:
        causes = (await diagnostician.diagnose(place.scene())).causes
        return {cause.target: cause.severity for cause in causes if cause.code == "NameserverDown"}

    for _ in range(2):
        for address in (NS_A, NS_B):
            place.nameserver(address, "timeout")
    assert await severities() == {NS_A: "critical", NS_B: "critical"}
    place.nameserver(NS_A)
    place.nameserver(NS_B, "timeout", status="warning")
    assert (await severities())[NS_B] == "critical"
    place.nameserver(NS_A)
    place.nameserver(NS_B, "timeout", status="warning")
    assert (await severities())[NS_B] == "warning"


async def test_a_clock_that_is_set_ends_no_disagreement() -> None:
    """Whether a nameserver must have had its turn is counted in looks: a step of an hour is no turn."""
    watch = Watch()
    split = {f"ns_{NS_A.replace('.', '_')}": "nxdomain", f"ns_{NS_B.replace('.', '_')}": "address"}
    watch.place.dns("db.corp.internal", "resolvers_disagree", status="warning", **split)
    assert await watch.codes() == {f"NameserversDisagree:{NS_A}"}
    watch.place.at += 3600.0
    watch.place.dns("db.corp.internal", **{f"ns_{NS_B.replace('.', '_')}": "address"})
    assert await watch.codes() == {f"NameserversDisagree:{NS_A}"}
