"""Causes that make their texts when they are read: nobody can tell them from others, and unread ones cost no words."""

import asyncio
from dataclasses import fields

from daemon.causes import Cause, Change, ChangeKind, Diagnosis, Domain
from daemon.diagnosis.diagnostician import Diagnostician
from daemon.diagnosis.lazy import Alone, LazyCause, Texts
from tests.support.scenes import Place


def _place() -> Place:
    place = Place()
    place.nameserver("192.168.0.53", "timeout")
    place.tcp("10.0.0.1", 443, "refused", resource="A")
    place.dns("db.example.com", "nxdomain", ns_192_168_0_53="nxdomain", resource="B")
    return place


async def test_every_field_can_be_read() -> None:
    """Whatever a cause has, one that is made lazily has too; a copy with all texts made says the same."""
    causes = (await Diagnostician(asyncio.get_running_loop().time).diagnose(_place().scene())).causes
    assert {cause.code for cause in causes} == {"NameserverDown", "PortFails", "NameFails"}
    for cause in causes:
        known = {field.name: getattr(cause, field.name) for field in fields(Cause)}
        copy = Cause(**known)
        assert (copy.id, copy.title, copy.text) == (cause.id, cause.title, cause.text)
        assert all(known[name] for name in ("title", "text", "since", "evidence", "runbook", "labels"))


def test_texts_are_made_once_and_when_read() -> None:
    """Nobody words what nobody reads, and what was worded once is kept."""
    worded: list[str] = []

    def say() -> Texts:
        worded.append("said")
        return Texts("title", "text", "action", ("possible",))

    cause = LazyCause(say, code="C", target="t", domain=Domain.RESOURCE, severity="info", since=1.0)
    assert (cause.id, cause.resources, cause.evidence, worded) == ("C:t", 0, (), [])
    assert (cause.title, cause.text, cause.action, cause.possible) == ("title", "text", "action", ("possible",))
    assert worded == ["said"]


class Looks:
    """One place that is looked at again and again."""

    def __init__(self) -> None:
        self.place = _place()
        self._diagnostician = Diagnostician(asyncio.get_running_loop().time)

    async def port(self) -> Cause:
        """Return the cause of the port that stands alone."""
        diagnosis: Diagnosis = await self._diagnostician.diagnose(self.place.scene())
        return next(cause for cause in diagnosis.causes if cause.code == "PortFails")


async def test_a_row_that_did_not_change_keeps_its_cause() -> None:
    """A cause is made anew when its row reports again, or when its severity or what changed before it is another."""
    looks = Looks()
    first = await looks.port()
    assert isinstance(first, Alone)
    assert await looks.port() is first
    looks.place.severities["A"] = "critical"
    graver = await looks.port()
    assert (graver.severity, first.severity) == ("critical", "warning")
    change = Change(at=looks.place.at - 1.0, kind=ChangeKind.LINK, text="eth0 went down")
    looks.place.changes = (change,)
    assert (await looks.port()).changed == (change,)
    looks.place.changes = ()
    assert (await looks.port()).changed == ()
    looks.place.tcp("10.0.0.1", 443, "timeout", resource="A")
    assert "timeout" in (await looks.port()).text
