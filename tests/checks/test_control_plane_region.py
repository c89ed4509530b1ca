"""The control plane's redirect to a regional host: followed by a look of its own, or not at all."""

import dataclasses
from pathlib import Path

import pytest

from checks.control_plane import Memory, new_memory, probe
from checks.model import Status
from tests.support.controller import HOST, NAMES, REGIONAL, look, spec
from tests.support.fakes import context
from tests.support.nginx import Site, nginx
from tests.support.pki import Authority
from tests.support.servers import free_port


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    """The authority that the specs trust."""
    return Authority(tmp_path)


@pytest.fixture
def port() -> int:
    """Where the Controller listens."""
    return free_port()


async def test_a_redirect_to_the_regional_host_makes_a_second_row(tmp_path: Path, root: Authority, port: int) -> None:
    """The regional host is looked at in the same run, and still when the first name has stopped to answer."""
    pair = root.issue(HOST, REGIONAL)
    first = Site(port=port, pair=pair, directives=f"return 308 https://{REGIONAL}:{port}/api/graphql/?x;")
    second = Site(port=port, pair=pair, address="127.0.0.2", directives="return 400;")
    wanted, memory = spec(port, root), new_memory()
    ctx = dataclasses.replace(context(NAMES), memory=memory)
    with nginx(tmp_path, first, second) as access:
        rows = await probe(wanted, ctx)
        assert {target: row.facts["http_status"] for target, row in rows.items()} == {
            f"{HOST}:{port}": 308,
            f"{REGIONAL}:{port}": 400,
        }
        assert all(row.status is Status.OK for row in rows.values())
        assert access.read_text().splitlines()[1] == "HEAD /api/graphql/ HTTP/1.1 400 connector-health"
        assert list(await probe(wanted, ctx)) == list(rows)
        assert len(access.read_text().splitlines()) == 4
    (folder := tmp_path / "later").mkdir()
    with nginx(folder, second):
        rows = await probe(wanted, ctx)
    assert [row.status for row in rows.values()] == [Status.CRITICAL, Status.OK]


@pytest.mark.parametrize(
    "location",
    [
        "https://acme.us1.elsewhere.example:PORT/",
        "https://acme.controller.example.elsewhere.example:PORT/",
        "https://evilcontroller.example:PORT/",
        "https://acme.evilcontroller.example:PORT/",
        "https://other.us1.controller.example:PORT/",
        "https://controller.example:PORT/",
        "https://acme.controller.example:PORT/login",
        "https://acme.us1.controller.example:1/",
        "https://acme.us1.controller.example/",
        "http://acme.us1.controller.example:PORT/",
        "https://user@acme.us1.controller.example:PORT/",
        "https://127.0.0.2:PORT/",
        "/login",
        "//acme.us1.controller.example:PORT/",
    ],
)
async def test_any_other_redirect_is_a_fact_and_nothing_more(
    tmp_path: Path, root: Authority, port: int, location: str
) -> None:
    """A Location that is not the regional host of this very network is never connected to, nor remembered."""
    location = location.replace("PORT", str(port))
    memory = Memory()
    site = Site(port=port, pair=root.issue(HOST), directives=f"absolute_redirect off; return 308 {location};")
    with nginx(tmp_path, site):
        rows = await probe(spec(port, root), dataclasses.replace(context(NAMES), memory=memory))
    (row,) = rows.values()
    assert (row.status, row.facts["redirects_to"]) == (Status.OK, location)
    assert memory.regional is None


async def test_a_regional_host_that_is_configured_itself_gets_no_second_row(
    tmp_path: Path, root: Authority, port: int
) -> None:
    """Two jobs never answer for one row."""
    wanted = dataclasses.replace(spec(port, root), known=(f"{HOST}:{port}", f"{REGIONAL}:{port}"))
    site = Site(port=port, pair=root.issue(HOST), directives=f"return 308 https://{REGIONAL}:{port}/;")
    with nginx(tmp_path, site):
        assert (await look(wanted)).status is Status.OK
