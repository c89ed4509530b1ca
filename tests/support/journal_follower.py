"""A script that follows a unit's log as our code does and prints each line, or why it can't; run inside the container.

It ends after the line UNTIL and prints the cursor to go on from.
"""

import argparse
import asyncio
import contextlib
import os

import checks.connlog.journal_reader  # noqa: F401 - another user may not be able to read it where our code lies
from checks.connlog.journal import JournalSource
from checks.connlog.model import LogUnreadableError

NOBODY = 65534


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("unit")
    parser.add_argument("until")
    parser.add_argument("--cursor")
    parser.add_argument("--as-nobody", action="store_true", help="give up root first")
    parser.add_argument("--group", type=int, action="append", default=[], help="but be in this group")
    return parser.parse_args()


async def follow(wanted: argparse.Namespace) -> None:
    """Follow until the line has come."""
    source = JournalSource(unit=wanted.unit, note=lambda text: tell("note", text))
    try:
        async with contextlib.aclosing(source.follow(wanted.cursor, None)) as batches, asyncio.timeout(20):
            async for batch in batches:
                for line in batch:
                    tell("line", line.text.decode())
                    if line.text == wanted.until.encode():
                        tell("cursor", line.cursor)
                        return
    except LogUnreadableError as error:
        tell("unreadable", str(error))
        tell("permission", str(error.permission))


def tell(what: str, text: str) -> None:
    """Say it to the test."""
    print(f"{what}: {text}", flush=True)  # noqa: T201 - what the test reads


def main() -> None:
    """Follow, as the user that was asked for."""
    wanted = arguments()
    if wanted.as_nobody:
        os.setgroups(wanted.group)
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    asyncio.run(follow(wanted))


if __name__ == "__main__":
    main()
