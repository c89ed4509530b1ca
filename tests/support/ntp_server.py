"""Time servers for tests: real ones (chronyd, also with a wrong clock) and a scripted one that lies."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import ntplib

from checks.model import Json, Outcome
from tests.support.servers import answers_udp, find, free_port, require, running

QUESTION: bytes = ntplib.NTPPacket(version=4, mode=3).to_data()
EPOCH = int(ntplib.NTP.NTP_DELTA)  # Unix time 0 in NTP seconds
Script = Callable[[bytes], Sequence[bytes]]
"""From a question to the packets that are sent back."""


@contextlib.contextmanager
def chronyd(folder: Path, name: str = "ntp", *, wrong_by: str = "", address: str = "127.0.0.1") -> Iterator[int]:
    """Run a chronyd that serves its own clock, wrong by e.g. `+6s`; yield its port. It never touches the host clock."""
    require("chronyd", "root", *(["faketime"] if wrong_by else []))
    port = free_port(socket.SOCK_DGRAM, address)
    conf = folder / f"{name}.conf"
    conf.write_text(
        f"port {port}\nlocal stratum 3\nallow 127/8\ncmdport 0\nbindaddress {address}\n"
        f"bindcmdaddress /\npidfile {folder}/{name}.pid\n"
    )
    argv = ["chronyd", "-x", "-d", "-f", str(conf), "-u", "root"]
    if wrong_by:
        argv = ["faketime", "-f", wrong_by, find("chronyd") or "chronyd", *argv[1:]]
    with running(argv, folder / f"{name}.log", lambda: answers_udp(port, QUESTION, address)):
        yield port


def reply(  # one keyword for each thing that a server can get wrong
    question: bytes,
    now: float,
    *,
    origin: bytes | None = None,
    mode: int = 4,
    version: int = 4,
    leap: int = 0,
    stratum: int = 2,
    code: bytes = b"LOCL",
    root_delay_s: float = 0.0,
    root_dispersion_s: float = 0.0,
    precision: int = -20,
    held_s: float = 0.0,
) -> bytes:
    """Return a server's reply by a clock that says `now` (Unix seconds)."""
    head = struct.pack(
        "!BBBbII4s",
        leap << 6 | version << 3 | mode,
        stratum,
        6,
        precision,
        int(root_delay_s * 65536),
        int(root_dispersion_s * 65536),
        code,
    )
    stamps = stamp(now) + (question[40:48] if origin is None else origin) + stamp(now) + stamp(now + held_s)
    return head + stamps


def stamp(now: float) -> bytes:
    """Return a 64-bit NTP timestamp."""
    seconds = int(now // 1)
    return struct.pack("!II", (seconds + EPOCH) % 2**32, int((now - seconds) * 2**32))


def sources_of(outcome: Outcome) -> list[Mapping[str, Json]]:
    """Return the facts of each source of a clock outcome."""
    sources = outcome.facts["sources"]
    assert isinstance(sources, list)
    assert all(isinstance(s, Mapping) for s in sources)
    return cast("list[Mapping[str, Json]]", sources)


class _Scripted(asyncio.DatagramProtocol):
    def __init__(self, script: Script, asked: list[bytes]) -> None:
        self.script = script
        self.asked = asked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        for packet in self.script(data):
            self.transport.sendto(packet, addr)


@contextlib.asynccontextmanager
async def scripted(script: Script, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Run a server that answers by `script` on this loop; yield its port and the questions it was asked."""
    asked: list[bytes] = []
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Scripted(script, asked), local_addr=(address, port)
    )
    try:
        yield transport.get_extra_info("sockname")[1], asked
    finally:
        transport.close()
        await asyncio.sleep(0)
