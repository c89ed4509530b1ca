"""What was seen from the Connector's place, told from there: commands begin in its network, as the probe did.

The same command typed on the host would ask from another network, and may well show the opposite. And what checks call
"this host", because that is where they usually stand, is the Connector's network then.
"""

import re

from checks.model import Outcome, Rows
from checks.net.seat import Seat

_COMMANDS = re.compile(
    r"(?<=[:;] )(?=nc -|nmap -|dig @|openssl s_client |ip -|ip route )|(?<=`)(?=nc -|nmap -|nft |ip )"
)
"""Where a command begins that asks an address. One that asks a name is left alone: its name would be looked up by this
host's resolver, of which the Connector's network may know nothing."""


_HERE = re.compile(r"(?<!on )(?<!by )\b([Tt])his host\b(?! alone|'s clock|'s \d| ran out)('s)?")
"""Where "this host" is the place that was looked from. The clock, limits and trusted roots are this host's in any case,
and commands are typed "on this host"."""


def from_there(rows: Rows, seat: Seat) -> Rows:
    """Return rows that were seen from `seat`, told from there, with commands that begin where its process stands."""
    if seat.name != "connector" or not any(outcome.action for outcome in rows.values()):
        return rows
    mark = seat.mark()
    if not isinstance(mark, tuple):
        return rows  # in our own network, or nobody stands there now
    return {target: _entered(outcome, f"nsenter -t {mark[0]} -n ") for target, outcome in rows.items()}


def _entered(outcome: Outcome, enter: str) -> Outcome:
    action = _HERE.sub(_there, _COMMANDS.sub(enter, outcome.action))
    summary = _HERE.sub(_there, outcome.summary)
    unchanged = action == outcome.action and summary == outcome.summary
    return outcome if unchanged else outcome.but(summary=summary, action=action)


def _there(found: re.Match[str]) -> str:
    return f"{found[1]}he Connector's" + ("" if found[2] else " network")
