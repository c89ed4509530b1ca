"""docs/scale.md counts series: it must count what the daemon shows."""

import re
from pathlib import Path

import pytest

from bench.fleet_connector import FAILING_SHARE, Synthetic

TEXT = (Path(__file__).parents[2] / "docs/scale.md").read_text("utf-8")
NOW = 1_790_000_000.0
DETAILS = ("all", "failing", "none", "auto")


def documented(detail: str) -> dict[int, int]:
    """Return the series by number of Resources, for one port each, as the table says them."""
    heads = next(re.findall(r"(\d[\d,]*) R ", line) for line in TEXT.splitlines() if line.startswith("| `detail` |"))
    (row,) = (line for line in TEXT.splitlines() if re.match(rf"\| `{detail}` .*\d R|\| `{detail}` .*\| \d+ \|", line))
    cells = [cell.split()[0] for cell in row.strip("| ").split(" | ")[2:]]
    counts = [int(number.replace(",", "")) for number in heads]
    return dict(zip(counts, (int(cell.replace(",", "")) for cell in cells), strict=False))


@pytest.mark.parametrize("resources", [10, 50])
@pytest.mark.parametrize("detail", DETAILS)
def test_series_are_as_documented(resources: int, detail: str) -> None:
    """The table of docs/scale.md is what the exposition of such a Connector has."""
    one = Synthetic(resources, 1, detail, NOW)
    one.look()
    one.look()
    series = sum(not line.startswith("#") for line in one.show().splitlines())
    assert documented(detail)[resources] == series
    failing = round(resources * FAILING_SHARE)
    formula = {"all": resources + 2 * one.targets, "failing": resources + 2 * failing, "none": 0}
    assert series - int(re.findall(r"\| `none` \| (\d+) \|", TEXT)[0]) == formula.get(detail, formula["all"])
