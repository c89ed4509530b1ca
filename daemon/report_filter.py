"""Parts of the report: which rows a reader asked for, a page at a time."""

import itertools
from collections.abc import Collection

from daemon.document import Document
from daemon.report import sort_key


def filter_rows(
    whole: Document,
    *,
    status: Collection[str] = (),
    resource: Collection[str] = (),
    check: Collection[str] = (),
    limit: int | None = None,
    after: str | None = None,
) -> Document:
    """Return the document with only the rows that match; verdict and summary still speak of the whole.

    An empty collection matches all. `resource` matches any Resource behind a row. `after` is the id of the last row of
    the page before; it need not exist any more. `limit` is the greatest number of rows.
    """
    rows = (
        row
        for row in whole["checks"]
        if (not status or row["status"] in status)
        and (not check or row["check"] in check)
        and (not resource or not set(resource).isdisjoint(row["resources"]))
    )
    if after is not None:
        place = sort_key(after)
        rows = (row for row in rows if sort_key(row["id"]) > place)
    return {**whole, "checks": list(itertools.islice(rows, limit))}
