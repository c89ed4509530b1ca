"""What tests of the journal share: a unit that says what it is told, files made to measure, a patient reader."""

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path

from checks.connlog.model import RawLine
from tests.support.servers import require
from tests.support.systemd_lab import SystemdLab

REMOTE = "/lib/systemd/systemd-journal-remote"
READ_S = 20.0
BOOT, MACHINE, STREAM = "b" * 32, "a" * 32, "c" * 32
FIRST_AT = 1_700_000_000.0
Fields = Mapping[str, str | bytes]


class Speaker:
    """A service in the container whose output is whatever is written to it."""

    def __init__(self, lab: SystemdLab, unit: str) -> None:
        self._lab = lab
        self._feed = f"/run/{unit}.feed"
        lab.run(f"mkfifo {self._feed}")
        lab.unit(unit, f"ExecStart=/bin/sh -c 'exec cat <>{self._feed}'")
        lab.run(f"systemctl start {unit}")

    def say(self, *lines: str | bytes) -> None:
        """Write lines; they are in the journal soon, in this order."""
        text = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
        with Path(f"{self._lab.root}{self._feed}").open("wb", buffering=0) as pipe:
            while text:
                text = text[pipe.write(text) or 0 :]


async def read(follow: AsyncGenerator[Sequence[RawLine], None], until: bytes) -> list[RawLine]:
    """Read on until a line with this text has come; return all lines on the way."""
    lines: list[RawLine] = []
    async with asyncio.timeout(READ_S):
        while not any(line.text == until for line in lines):
            lines += await anext(follow)
    return lines


def texts(lines: Iterable[RawLine]) -> list[str]:
    """Return what the lines say."""
    return [line.text.decode() for line in lines]


def entry(number: int, message: str | bytes, fields: Fields | None = None) -> bytes:
    """Return one entry in the export format (texts have no line breaks); entries are a second apart.

    Source: systemd, "Journal Export Formats".
    """
    known: dict[str, str | bytes] = {
        "__REALTIME_TIMESTAMP": str(int((FIRST_AT + number) * 1e6)),
        "__MONOTONIC_TIMESTAMP": str(number * 1_000_000),
        "_BOOT_ID": BOOT,
        "_MACHINE_ID": MACHINE,
        "_STREAM_ID": STREAM,
        "_SYSTEMD_UNIT": "twingate-connector.service",
        **(fields or {}),
        "MESSAGE": message,
    }
    written = b""
    for name, value in known.items():
        if isinstance(value, str):
            written += f"{name}={value}\n".encode()
        else:
            written += name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return written + b"\n"


def journal_files(folder: Path, entries: Iterable[bytes], name: str = "system.journal") -> Path:
    """Write a directory of real journal files and return it."""
    require(REMOTE)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [REMOTE, "-o", str(folder / name), "-"], input=b"".join(entries), check=True, timeout=60, capture_output=True,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "err"},
    )  # fmt: skip
    return folder
