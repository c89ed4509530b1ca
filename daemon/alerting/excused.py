"""Which rows an announced maintenance excuses: they are shown, and raise no alert."""

from collections.abc import Iterable

from daemon.maintenance import current_windows, in_maintenance
from daemon.state import TargetState
from daemon.view import View


class Excused:
    """The Resources in a maintenance window that is open in one view."""

    def __init__(self, view: View) -> None:
        self._rows = view.board.rows
        self._windows = current_windows(view.config.maintenance, view.now)
        self._resources = {r.name: r for r in view.plan.resources} if self._windows else {}
        self._known: dict[str, bool] = {}

    @property
    def possible(self) -> bool:
        """Tell whether any window is open."""
        return bool(self._windows)

    def covers(self, *groups: Iterable[str]) -> bool:
        """Tell whether these rows are all about Resources in maintenance, and there is such a row.

        A row of the host, of a nameserver or of the Connector belongs to no Resource: what it shows is never excused,
        even if every Resource that suffers from it is in maintenance.
        """
        found = [self._rows.get(row_id) for rows in groups for row_id in rows]
        return bool(found) and all(row is not None and self._row(row) for row in found)

    def _row(self, row: TargetState) -> bool:
        names = row.result.resources
        return bool(names) and all(self._resource(name) for name in names)

    def _resource(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            resource = self._resources.get(name)
            known = self._known[name] = resource is not None and in_maintenance(resource, self._windows)
        return known
