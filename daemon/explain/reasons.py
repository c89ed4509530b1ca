"""The documentation of every reason, in one map: `healthctl explain REASON` and docs/reasons.md read it."""

from collections.abc import Mapping

from checks.model import Reason
from daemon.explain import connecting, judging, resolving, running, trusting
from daemon.explain.page import Page

CHAPTERS: Mapping[str, Mapping[Reason, Page]] = {
    "Connections": connecting.PAGES,
    "Names": resolving.PAGES,
    "Clock and TLS": trusting.PAGES,
    "The Connector": running.PAGES,
    "Our own limits and expectations": judging.PAGES,
}
REASONS: Mapping[Reason, Page] = {reason: page for pages in CHAPTERS.values() for reason, page in pages.items()}
