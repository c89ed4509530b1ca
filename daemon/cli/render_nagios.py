"""`check -o nagios`: one status line with performance data, then causes and other problems, for any monitoring.

Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Performance data".
"""

from collections.abc import Sequence

from checks.model import CheckName
from daemon.cause_rows import Told, put_together
from daemon.cli.nearest import safe
from daemon.cli.phrases import worst_first
from daemon.document import Document, Row
from daemon.summary import count_resources

MAX_PROBLEMS = 20  # contract
MAX_BYTES = 4096  # contract: what the oldest receivers read of a plugin's output
MAX_LINE_BYTES = 1024  # the first line alone: many receivers keep no more of it


def render(whole: Document, *, warn_offset_s: float, max_offset_s: float) -> str:
    """Return the plugin output; the clock's thresholds are in seconds."""
    figures = " ".join(_figures(whole, warn_offset_s, max_offset_s))
    ending = f" | {figures}" if figures else ""
    head = f"CONNECTOR {whole['status'].upper()}: {_plain(whole['summary'])}"
    first = _cut(head, MAX_LINE_BYTES - len(ending)) + ending
    causes = put_together(whole["diagnosis"], whole["checks"])
    leading = [_cause(told) for told in causes.told if told.cause["severity"] != "info"]
    others = [_cause(told) for told in causes.told if told.cause["severity"] == "info"]
    rows = [_problem(row) for row in worst_first(whole["checks"]) if not causes.covers(row)]
    problems = [*leading, *rows, *others]
    return "\n".join([first, *_listed(problems, MAX_BYTES - _size([first]))]) + "\n"


def _listed(problems: Sequence[str], room: int) -> list[str]:
    """Return the problems, as far as number and `room` (bytes) allow; the last line tells what is missing."""
    lines = list(problems[:MAX_PROBLEMS])
    if len(lines) == len(problems) and _size(lines) <= room:
        return lines
    lines = lines[: MAX_PROBLEMS - 1]
    while _size([*lines, _more(len(problems) - len(lines))]) > room:
        lines.pop()
    return [*lines, _more(len(problems) - len(lines))]


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _figures(whole: Document, warn_offset_s: float, max_offset_s: float) -> list[str]:
    figures = []
    for row in whole["checks"]:
        offset = row["measurements"].get("offset_seconds") if row["check"] == CheckName.CLOCK else None
        if offset is not None:
            figures.append(f"'clock_offset'={_number(offset)}s;{_range(warn_offset_s)};{_range(max_offset_s)}")
            break
    if any(row["check"] in (CheckName.DNS, CheckName.TCP) for row in whole["checks"]):
        tally = count_resources(whole["checks"], 0)
        figures.append(f"'failing'={tally.failing};;;0;{tally.total}")
    return figures


def _cause(told: Told) -> str:
    explains = f"; {told.blast}" if told.blast else ""
    text = f"{told.cause['severity'].upper()} {told.label}: {told.cause['title']}{explains}"
    return _cut(_plain(text), MAX_LINE_BYTES)


def _problem(row: Row) -> str:
    names = f" ({', '.join(row['resources'])})" if row["resources"] else ""
    text = f"{row['status'].upper()} {row['id']}{names}: {row['summary']}"
    return _cut(_plain(text), MAX_LINE_BYTES)


def _more(count: int) -> str:
    return f"… and {count} more; see healthctl check"


def _plain(text: str) -> str:
    """Return one harmless line; a bar would begin performance data."""
    return safe(text).replace("|", "/")


def _cut(text: str, limit: int) -> str:
    data = text.encode(errors="backslashreplace")
    return text if len(data) <= limit else data[: limit - 3].decode(errors="ignore") + "…"


def _number(value: float) -> str:
    """Write a number without an exponent, which not every receiver reads."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if value else "0"


def _range(limit: float) -> str:
    return f"-{_number(limit)}:{_number(limit)}"
