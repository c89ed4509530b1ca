"""Commands that repeat by hand what was seen from the Connector's place: they begin in its network, as the probe did.

The same command typed on the host would ask from another network, and may well show the opposite.
"""

import re
from dataclasses import replace

from checks.model import Outcome, Rows
from checks.net.seat import Seat

_COMMANDS = re.compile(r"(?<=[:;] )(?=nc -|dig @|openssl s_client |ip -|ip route )|(?<=`)(?=nc -|nft |ip )")
"""Where a command begins that asks an address. One that asks a name is left alone: its name would be looked up by this
host's resolver, of which the Connector's network may know nothing."""


def from_there(rows: Rows, seat: Seat) -> Rows:
    """Return rows that were seen from `seat`, with commands that begin where its process stands (as root)."""
    if seat.name != "connector" or not any(_COMMANDS.search(outcome.action) for outcome in rows.values()):
        return rows
    mark = seat.mark()
    if not isinstance(mark, tuple):
        return rows  # in our own network, or nobody stands there now
    return {target: _entered(outcome, f"nsenter -t {mark[0]} -n ") for target, outcome in rows.items()}


def _entered(outcome: Outcome, enter: str) -> Outcome:
    action = _COMMANDS.sub(enter, outcome.action)
    return outcome if action == outcome.action else replace(outcome, action=action)
