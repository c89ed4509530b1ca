"""One cause, one page: the daemon without its network, in virtual time, while faults come, stay and heal."""

import asyncio

import pytest

from tests.support.virtual import in_virtual_time
from tests.support.whole import Whole

HOST, PORTS, DNS = "ConnectorHostNetworkDown", "ConnectorUnableToConnect", "ConnectorNameserverDown"
REST_S, LASTS_S, OVER_S = 130.0, 700.0, 900.0


def played(*faults: str, lasts_s: float = LASTS_S, over_s: float = OVER_S, times: int = 1, crowd: int = 0) -> Whole:
    """Have these faults come and heal so many times, and wait."""
    told: list[Whole] = []

    async def main() -> None:
        told.append(whole := Whole(crowd))
        async with whole.running():
            await asyncio.sleep(REST_S)
            for _ in range(times):
                await whole.break_for(lasts_s, *faults)
                await asyncio.sleep(lasts_s if times > 1 else 0.0)
            await asyncio.sleep(over_s)

    in_virtual_time(main())
    return told[0]


@pytest.mark.parametrize(
    ("fault", "name", "address"),
    [
        ("gateway", HOST, ""),
        ("route", HOST, ""),
        ("nameserver", DNS, ""),
        ("10.1.", PORTS, "10.1.0.0/16"),
        ("10.2.0.3", PORTS, "10.2.0.3"),
    ],
)
def test_one_page_and_one_end(fault: str, name: str, address: str) -> None:
    """Each fault is told once, under its own name, and its end once, also where a port is looked at rarely."""
    whole = played(fault)
    assert whole.heard == [("fires", name, address), ("ends", name, address)]
    told = [fires for _, fires in whole.way.said(name)]
    assert (told[0], told[-1], sorted(told, reverse=True)) == (True, False, told)
    assert len(whole.starts) == 1


@pytest.mark.parametrize("lasts_s", [200.0, 1500.0], ids=["soon", "when-all-is-asked-slowly"])
def test_a_crowd_is_one_page(lasts_s: float) -> None:
    """A hundred and twenty targets of a subnet, of which a few are asked for all: one page for them, and one end."""
    whole = played("10.4.", lasts_s=lasts_s, crowd=120)
    assert [(what, name) for what, name, _ in whole.heard] == [("fires", PORTS), ("ends", PORTS)]
    assert whole.heard[0][2].startswith("10.4.")


@pytest.mark.parametrize("fault", ["gateway", "route", "10.1.", "10.2.0.3"])
def test_what_is_short_is_not_told(fault: str) -> None:
    """What heals within its `after` raises nothing, and nothing comes after it."""
    assert played(fault, lasts_s=40.0).heard == []


@pytest.mark.parametrize("fault", ["gateway", "route"])
def test_the_end_comes_soon(fault: str) -> None:
    """When there is a way out again that is told at once: nobody waits for a port that is looked at rarely."""
    assert [what for what, *_ in played(fault, over_s=35.0).heard] == ["fires", "ends"]


def test_a_gateway_that_comes_and_goes() -> None:
    """Whatever comes and goes with it for an hour is not told port by port."""
    whole = played("gateway", lasts_s=90.0, times=20, over_s=3000.0)
    assert {name for _, name, _ in whole.heard} == {HOST}
    assert [what for what, *_ in whole.heard].count("fires") <= 2
    assert whole.heard[-1][0] == "ends"


def test_killed_while_it_fires() -> None:
    """A process that is killed and comes back ten seconds later goes on with the alert, and ends it once."""
    told: list[Whole] = []

    async def main() -> None:
        told.append(whole := Whole())
        whole.world.faults.add("gateway")
        for _ in range(4):
            async with whole.running():
                await asyncio.sleep(150.0)
            await asyncio.sleep(10.0)
        whole.world.faults.clear()
        async with whole.running():
            await asyncio.sleep(OVER_S)

    in_virtual_time(main())
    assert told[0].heard == [("fires", HOST, ""), ("ends", HOST, "")]
    assert len(told[0].starts) == 1
