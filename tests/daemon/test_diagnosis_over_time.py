"""One diagnosis after the other: causes keep their names, end once, and hold on until their effects are over."""

from daemon.causes import Cause, Change, ChangeKind, Diagnosis
from daemon.diagnosis.diagnostician import Diagnostician
from daemon.diagnosis.memory import CONFIRM_S
from tests.support.faults import NS_A, NS_B, healthy
from tests.support.scenes import GATEWAY, Place, codes, route

INTERVAL_S = 30.0
LINGER_S = 2 * INTERVAL_S + CONFIRM_S
DEAD = {"ns_192_168_0_53": "timeout"}
ANSWERS = {"ns_192_168_0_53": "address"}
SPLIT = {"ns_192_168_0_53": "nxdomain", "ns_192_168_0_54": "address"}


class Watch:
    """A place that is diagnosed again and again, on a clock of its own."""

    def __init__(self, *, failures: int = 1) -> None:
        self.place = Place(failures=failures)
        healthy(self.place)
        self._diagnostician = Diagnostician(lambda: self.place.at)

    async def now(self, *, after_s: float = 0.0) -> Diagnosis:
        """Diagnose the place as it is, `after_s` seconds later."""
        self.place.at += after_s
        return await self._diagnostician.diagnose(self.place.scene())

    async def codes(self, *, after_s: float = 0.0) -> set[str]:
        """Return the ids of the causes of now."""
        return codes(await self.now(after_s=after_s))


def only(diagnosis: Diagnosis) -> Cause:
    """Return the one cause there is."""
    assert len(diagnosis.causes) == 1, codes(diagnosis)
    return diagnosis.causes[0]


def kill_nameserver(place: Place, names: int) -> None:
    """Have the only nameserver and every name fail."""
    place.nameserver(NS_A, "timeout")
    for number in range(names):
        place.dns(f"n{number}.corp.internal", "timeout", **DEAD)


async def test_names_that_recover_one_after_the_other_raise_nothing_by_themselves() -> None:
    """While 500 names recover over 30 s, the nameserver stays the only cause; with the last of them it ends."""
    watch = Watch()
    kill_nameserver(watch.place, 500)
    assert await watch.codes() == {f"NameserverDown:{NS_A}"}
    watch.place.nameserver(NS_A)
    for number in range(500):
        watch.place.at += INTERVAL_S / 500
        watch.place.dns(f"n{number}.corp.internal", **ANSWERS)
        if number % 50 == 0:
            assert only(await watch.now()).id == f"NameserverDown:{NS_A}"
    assert await watch.codes() == set()


async def test_a_cause_that_is_over_lets_go_in_the_end() -> None:
    """What still fails when its cause has been over for two looks has a cause of its own."""
    watch = Watch()
    kill_nameserver(watch.place, 1)
    await watch.now()
    watch.place.nameserver(NS_A)
    watch.place.dns("n0.corp.internal", "nxdomain", ns_192_168_0_53="nxdomain")
    assert await watch.codes() == {f"NameserverDown:{NS_A}"}
    assert await watch.codes(after_s=LINGER_S) == {f"NameserverDown:{NS_A}"}
    assert await watch.codes(after_s=1.0) == {"NameFails:n0.corp.internal"}


async def test_rows_that_are_looked_at_rarely_are_waited_for() -> None:
    """A cause that explains a Relay, looked at once a minute, lingers for two of its looks."""
    watch = Watch()
    watch.place.host("no_route")
    watch.place.routes = ()
    watch.place.relay(reason="no_route")
    assert await watch.codes() == {"HostNetworkDown:network"}
    watch.place.host()
    assert await watch.codes() == {"HostNetworkDown:network"}
    assert await watch.codes(after_s=2 * 60.0) == {"HostNetworkDown:network"}
    watch.place.relay()
    assert await watch.codes() == set()


async def test_a_subnet_that_heals_breaks_up_into_nothing() -> None:
    """The first address that answers ends the cause, and those that follow are still explained by it."""
    watch = Watch()
    began = watch.place.at
    for last in range(1, 7):
        watch.place.tcp(f"10.1.2.{last}", 443, "timeout")
        watch.place.at += 1.0
    assert await watch.codes() == {"SubnetUnreachable:10.1.0.0/16"}
    watch.place.tcp("10.1.2.1", 443)
    rest = only(await watch.now(after_s=5.0))
    assert rest.explains == tuple(f"tcp:10.1.2.{last}:443" for last in range(2, 7))
    assert rest.since == began
    for last in range(2, 7):
        watch.place.tcp(f"10.1.2.{last}", 443)
    assert await watch.codes() == set()


async def test_a_fault_that_comes_back_while_it_lingers_is_the_same_cause() -> None:
    """A subnet that answers for a moment and falls silent again has one cause, with one beginning."""
    watch = Watch()
    for last in range(1, 4):
        watch.place.tcp(f"10.1.2.{last}", 443, "timeout")
    first = only(await watch.now())
    watch.place.at += 10.0
    watch.place.tcp("10.1.2.1", 443)
    await watch.now()
    watch.place.at += 10.0
    watch.place.tcp("10.1.2.1", 443, "timeout")
    again = only(await watch.now())
    assert (again.id, again.since, len(again.explains)) == (first.id, first.since, 3)
    assert (await watch.codes(after_s=2 * LINGER_S)) == {first.id}


async def test_while_failures_come_in_a_wider_cause_takes_the_place_of_a_narrow_one() -> None:
    """Until each row was looked at again, the smallest explanation wins: one page, not one for each piece."""
    watch = Watch()
    watch.place.tcp("10.1.3.1", 443)
    for last in range(1, 4):
        watch.place.tcp(f"10.1.2.{last}", 443, "timeout")
    assert await watch.codes() == {"SubnetUnreachable:10.1.2.0/24"}
    watch.place.tcp("10.1.3.1", 443, "timeout")
    assert await watch.codes(after_s=10.0) == {"SubnetUnreachable:10.1.0.0/16"}


async def test_a_cause_that_has_settled_keeps_its_name() -> None:
    """What has been told for a minute is not renamed because more fails: the alert would end and begin anew."""
    watch = Watch()
    watch.place.tcp("10.1.3.1", 443)
    for last in range(1, 4):
        watch.place.tcp(f"10.1.2.{last}", 443, "timeout")
    await watch.now()
    await watch.now(after_s=2 * INTERVAL_S)
    watch.place.tcp("10.1.3.1", 443, "timeout")
    watch.place.tcp("10.1.2.9", 443, "timeout")
    diagnosis = await watch.now(after_s=1.0)
    assert codes(diagnosis) == {"SubnetUnreachable:10.1.2.0/24", "PortFails:10.1.3.1:443"}
    assert "tcp:10.1.2.9:443" in diagnosis.explained


async def test_a_proven_next_hop_takes_over_at_once_and_what_it_replaces_does_not_linger() -> None:
    """When the router behind it all is known to be dead, a subnet that was just suspected is named no more."""
    watch = Watch()
    watch.place.routes = (route("0.0.0.0/0", GATEWAY), route("192.168.0.0/24"), route("10.0.0.0/8", "192.168.0.2"))
    watch.place.tcp("10.1.3.1", 443)
    for last in range(1, 4):
        watch.place.tcp(f"10.1.2.{last}", 443, "timeout")
    assert await watch.codes() == {"SubnetUnreachable:10.1.2.0/24"}
    watch.place.dead = frozenset({"192.168.0.2"})
    assert await watch.codes(after_s=1.0) == {"NextHopDown:192.168.0.2"}


async def test_the_beginning_of_a_cause_does_not_move() -> None:
    """`since` is the first failing look, and stays so while rows join, leave and are looked at again."""
    watch = Watch(failures=2)
    began = watch.place.at
    watch.place.nameserver(NS_A, "timeout")
    watch.place.at += 2.0
    watch.place.nameserver(NS_A, "timeout")
    assert only(await watch.now()).since == began
    watch.place.at += INTERVAL_S
    kill_nameserver(watch.place, 3)
    kill_nameserver(watch.place, 3)
    assert only(await watch.now()).since == began


async def test_a_disagreement_is_remembered_between_the_turns_of_the_nameservers() -> None:
    """The daemon asks one nameserver at a time: a look at the good one does not show that the other is mended."""
    watch = Watch()
    watch.place.nameserver(NS_B)
    watch.place.dns("db.corp.internal", "resolvers_disagree", status="warning", **SPLIT)
    assert await watch.codes() == {f"NameserversDisagree:{NS_A}"}
    watch.place.at += INTERVAL_S
    watch.place.dns("db.corp.internal", ns_192_168_0_54="address")
    assert await watch.codes() == {f"NameserversDisagree:{NS_A}"}
    watch.place.at += INTERVAL_S
    watch.place.dns("db.corp.internal", **ANSWERS)
    assert await watch.codes() == set()


async def test_a_disagreement_that_nobody_sees_again_is_forgotten() -> None:
    """When the other nameserver would have had its turn and was not asked, it may have left."""
    watch = Watch()
    watch.place.dns("db.corp.internal", "resolvers_disagree", status="warning", **SPLIT)
    await watch.now()
    for _ in range(3):
        watch.place.dns("db.corp.internal", ns_192_168_0_54="address")
        assert await watch.codes(after_s=INTERVAL_S) != set()
    watch.place.dns("db.corp.internal", ns_192_168_0_54="address")
    assert await watch.codes() == set()


async def test_interception_keeps_the_endpoint_that_named_it() -> None:
    """Another endpoint that is intercepted as well does not rename the cause."""
    watch = Watch()
    watch.place.controller("zeta.twingate.com", "tls_intercepted", phase="tls")
    assert await watch.codes() == {"TLSIntercepted:zeta.twingate.com"}
    watch.place.controller("acme.twingate.com", "tls_intercepted", phase="tls")
    assert await watch.codes() == {"TLSIntercepted:zeta.twingate.com"}


async def test_a_frozen_failure_keeps_its_cause() -> None:
    """A row that is not judged any more neither ends nor renews what it stood for."""
    watch = Watch()
    watch.place.nameserver(NS_A, "timeout")
    await watch.now()
    watch.place.see(f"resolver:{NS_A}", "unknown", "prober_starved")
    assert await watch.codes(after_s=LINGER_S) == {f"NameserverDown:{NS_A}"}


async def test_a_next_hop_proven_dead_takes_over_what_looked_like_a_subnet() -> None:
    """The kernel needs most of a minute to give a neighbour up; what was found meanwhile is no second cause then."""
    watch = Watch()
    rows = {f"tcp:10.1.2.{last}:443" for last in (1, 2, 3)}

    def fail() -> None:
        for last in (1, 2, 3):
            watch.place.tcp(f"10.1.2.{last}", 443, "timeout")

    fail()
    assert await watch.codes() == {"SubnetUnreachable:10.1.0.0/16"}
    watch.place.at += 3 * INTERVAL_S
    fail()
    assert await watch.codes() == {"SubnetUnreachable:10.1.0.0/16"}
    watch.place.dead = frozenset({GATEWAY})
    one = only(await watch.now(after_s=1.0))
    assert (one.code, set(one.explains)) == ("NextHopDown", rows)


async def test_a_cause_that_ends_says_so() -> None:
    """While it lingers it does not claim that the nameserver is still silent."""
    watch = Watch()
    kill_nameserver(watch.place, 3)
    assert "ending" not in only(await watch.now()).title
    watch.place.nameserver(NS_A)
    one = only(await watch.now(after_s=1.0))
    assert one.title.endswith(": it is ending")
    assert one.text.endswith("is being looked at once more.")


async def test_a_failure_that_stands_alone_is_described_by_its_latest_look() -> None:
    """The cause of a port is made anew when its row changes, and is the very same while it does not."""
    watch = Watch()
    watch.place.see("tcp:192.168.0.9:80", "critical", "refused", summary="first")
    first = only(await watch.now())
    assert only(await watch.now(after_s=1.0)) is first
    watch.place.see("tcp:192.168.0.9:80", "critical", "refused", summary="second")
    second = only(await watch.now())
    assert second.text.startswith("second")
    assert second.since == first.since


async def test_what_changed_shortly_before_is_told_nearest_first() -> None:
    """Of what changed around the first failing look, the five nearest are told; older things are not."""
    watch = Watch()
    began = watch.place.at
    offsets = (-301.0, -200.0, -100.0, -50.0, -5.0, 3.0, 29.0, 31.0, -290.0)
    watch.place.changes = tuple(
        Change(at=began + offset, kind=ChangeKind.ROUTE, text=f"at {offset}") for offset in offsets
    )
    watch.place.nameserver(NS_A, "timeout")
    watch.place.tcp("192.168.0.9", 80, "refused")
    for cause in (await watch.now()).causes:
        assert [change.at - began for change in cause.changed] == [3.0, -5.0, 29.0, -50.0, -100.0]
