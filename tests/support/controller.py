"""A Controller to probe: its names, a spec for it, and one look at it with what every row must keep to."""

import dataclasses
from collections.abc import Mapping

from checks.control_plane import CRITICAL_REASONS, ControlPlaneSpec, probe
from checks.model import Outcome, Status
from tests.support.fakes import context
from tests.support.pki import Authority

HOST = "acme.controller.example"
REGIONAL = "acme.us1.controller.example"
AMPLE_S = 5.0
SHORT_S = 0.4
NAMES = {HOST: ("127.0.0.1",), REGIONAL: ("127.0.0.2",)}


def spec(port: int, root: Authority | None, timeout_s: float = AMPLE_S, *issuers: str) -> ControlPlaneSpec:
    """Make a spec for HOST."""
    return ControlPlaneSpec(
        url=f"https://{HOST}:{port}",
        target=f"{HOST}:{port}",
        ca_file=str(root.ca_file) if root else None,
        expected_issuers=issuers,
        timeout_s=timeout_s,
    )


async def look(
    wanted: ControlPlaneSpec, names: Mapping[str, tuple[str, ...]] | None = None, *, clock_off: bool = False
) -> Outcome:
    """Probe once and return the one row."""
    rows = await probe(wanted, dataclasses.replace(context(names or NAMES), clock_off=clock_off))
    assert list(rows) == [wanted.target]
    row = rows[wanted.target]
    assert len(row.summary) <= 120, row.summary
    assert bool(row.action) is (row.status is not Status.OK)
    assert row.status is not Status.CRITICAL or row.reason in CRITICAL_REASONS
    return row
