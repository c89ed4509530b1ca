"""Parts of the report: which rows a reader asked for, a page at a time."""

from bisect import bisect_right
from collections.abc import Collection

from daemon.document import Document, Row
from daemon.report import sort_key
from daemon.slices import Steps, at_once, batches


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
    return at_once(filter_steps(whole, status=status, resource=resource, check=check, limit=limit, after=after))


def filter_steps(
    whole: Document,
    *,
    status: Collection[str],
    resource: Collection[str],
    check: Collection[str],
    limit: int | None,
    after: str | None,
) -> Steps[Document]:
    """Do the same in steps."""
    rows, wanted = whole["checks"], frozenset(resource)
    if after is not None:
        rows = rows[bisect_right(rows, sort_key(after), key=lambda row: sort_key(row["id"])) :]
    found: list[Row] = []
    for batch in batches(rows):
        found += [
            row
            for row in batch
            if (not status or row["status"] in status)
            and (not check or row["check"] in check)
            and (not wanted or not wanted.isdisjoint(row["resources"]))
        ]
        if limit is not None and len(found) >= limit:
            break
        yield
    return {**whole, "checks": found[:limit]}
