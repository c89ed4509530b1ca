from checks.connector import CRITICAL_REASONS, ConnectorSpec, probe
from checks.model import Reason, Status
from tests.support.fakes import context


async def test_the_connectors_process_is_not_watched_yet_and_the_row_says_so() -> None:
    """Skipped and never critical: nothing is claimed that was not looked at."""
    rows = await probe(ConnectorSpec(target="office-1"), context())
    assert (rows["office-1"].status, rows["office-1"].reason) == (Status.SKIPPED, Reason.NOT_PROBEABLE)
    assert "does not watch" in rows["office-1"].summary
    assert not CRITICAL_REASONS
