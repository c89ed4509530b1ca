"""One NTP exchange (RFC 5905, client and server mode), with a reply that proves to be an answer to our question.

The packet codec is ntplib's. Its client is not used: it blocks, knows one address, and never compares the origin.
"""

import asyncio
import secrets
import socket
import string
from dataclasses import dataclass

import ntplib

from checks.net.errors import net_error
from checks.net.seat import SocketFactory
from checks.net.tcp import family_of
from checks.timemath import Interval, around
from checks.timescale import Timescale

VERSION = 4
MODE_SERVER = 4
LEAP_UNSYNCHRONISED = 3
MAX_STRATUM = 15  # 16 is "unsynchronised"
MAX_ROOT_DISTANCE_S = 3.46608  # 1.5 s and a day and a half of PHI: what ntpd's reference implementation still accepts
PHI = 15e-6  # RFC 5905 §7.2: seconds by which a clock may drift in one second
CODEC_ERROR_S = 1e-6  # ntplib keeps timestamps as floats: 0.5 µs each way
ERA_S = 2**32  # NTP seconds start again at 0 in February 2036
MAX_IGNORED = 32  # packets that answer nothing: more than these is a flood, and the loop has other work
MAX_PACKET = 1024  # 48 bytes and what extension fields may follow
NEGATIVE_RTT_S = 1e-3  # a server's coarse clock may make a round trip seem this much below zero


@dataclass(frozen=True, slots=True, kw_only=True)
class NtpAnswer:
    """What came of one question.

    - `interval`: where this host's offset lies, in seconds, negative when this host is behind; None: not usable.
    - `state`: `usable`, `silent`, `kiss:CODE`, or `rejected: ` and why.
    """

    state: str
    interval: Interval | None = None
    kiss: str | None = None
    stratum: int | None = None
    round_trip_s: float | None = None


async def ask(sockets: SocketFactory, address: str, port: int, timescale: Timescale, timeout_s: float) -> NtpAnswer:
    """Ask one literal address once and wait at most `timeout_s` seconds for the answer; never raises for the network.

    The socket is connected: the kernel drops what comes from anywhere else. What does not echo our 64 random bits, in
    our version and in server mode, is not an answer: it is passed over and the wait goes on.
    """
    family = family_of(address)
    ignored: list[str] = []
    nonce = secrets.token_bytes(8)
    try:
        sock = sockets(family, socket.SOCK_DGRAM)
    except OSError as error:
        return _rejected(net_error(error, family).evidence)
    try:
        sock.connect((address, port))
        sent = timescale.now()
        sock.send(_question(nonce))
        async with asyncio.timeout(timeout_s):
            return await _await_answer(sock, nonce, sent, timescale, ignored)
    except TimeoutError:
        return _rejected(f"{ignored[-1]} (no answer to our question came)") if ignored else NtpAnswer(state="silent")
    except OSError as error:
        return _rejected(net_error(error, family).evidence)
    finally:
        sock.close()


def _question(nonce: bytes) -> bytes:
    # The transmit timestamp is 64 random bits, not our time: a server only has to echo it, an attacker who does not
    # see it can't guess it, and it tells nobody how wrong our clock is. Cut in as bytes: ntplib would round a float.
    packet: bytes = ntplib.NTPPacket(version=VERSION, mode=3).to_data()
    return packet[:40] + nonce


async def _await_answer(
    sock: socket.socket, nonce: bytes, sent: float, timescale: Timescale, ignored: list[str]
) -> NtpAnswer:
    loop = asyncio.get_running_loop()
    while len(ignored) < MAX_IGNORED:
        data = await loop.sock_recv(sock, MAX_PACKET)
        answer = read_reply(data, nonce, sent, timescale.now())
        if isinstance(answer, NtpAnswer):
            return answer
        ignored.append(answer)
    return _rejected(f"{MAX_IGNORED} packets that answer nothing, the last: {ignored[-1]}")


def read_reply(data: bytes, nonce: bytes, sent: float, received: float) -> NtpAnswer | str:
    """Judge one packet that came `received` after `sent` (Unix seconds on one scale).

    Returns the answer, usable or not, or why the packet is none (it must be ignored). Never raises.
    """
    packet = ntplib.NTPPacket()
    try:
        packet.from_data(data)
    except ntplib.NTPException:
        return f"a packet of {len(data)} bytes"
    if strange := _strange(packet, data, nonce):
        return strange
    if packet.stratum == 0:
        code = _kiss_code(packet.ref_id)
        return NtpAnswer(state=f"kiss:{code}", kiss=code)
    if packet.leap == LEAP_UNSYNCHRONISED:
        return _rejected("the server says that it is not synchronised (leap 3)", packet.stratum)
    if packet.stratum > MAX_STRATUM:
        return _rejected(f"stratum {packet.stratum}", packet.stratum)
    return _measure(packet, sent, received)


def _strange(packet: ntplib.NTPPacket, data: bytes, nonce: bytes) -> str | None:
    """Tell why a packet is no answer to our question, or None when it is one."""
    if data[24:32] != nonce:
        return "a packet that does not echo our question"
    if packet.mode != MODE_SERVER:
        return f"a packet in mode {packet.mode}"
    if packet.version != VERSION:
        return f"a packet of version {packet.version}"
    return None


def _measure(packet: ntplib.NTPPacket, sent: float, received: float) -> NtpAnswer:
    """Turn the four timestamps into an interval. Source: RFC 5905 §8 (offset, delay), §11.1 (root distance)."""
    held = _wrapped(packet.tx_timestamp - packet.recv_timestamp)
    round_trip = (received - sent) - held
    if held < 0 or round_trip < -NEGATIVE_RTT_S or not packet.tx_timestamp:
        return _rejected("timestamps that contradict each other", packet.stratum)
    round_trip = max(round_trip, 0.0)
    to_server = _wrapped(packet.recv_timestamp - (sent + ntplib.NTP.NTP_DELTA))
    from_server = _wrapped(packet.tx_timestamp - (received + ntplib.NTP.NTP_DELTA))
    # NTP's theta is server minus client: positive when we are behind. We speak as Twingate's Time Offset does, where
    # a Connector that is behind has a negative offset: the sign is turned here and nowhere else.
    offset = -(to_server + from_server) / 2
    # The reply may have taken the whole round trip one way (half of it each way is the guess); the server may be as
    # far from true time as it says itself; both clocks have a resolution and drifted while the packet travelled.
    bound = (
        (round_trip + packet.root_delay) / 2
        + packet.root_dispersion
        + 2.0**packet.precision
        + PHI * (received - sent)
        + CODEC_ERROR_S
    )
    if bound > MAX_ROOT_DISTANCE_S:
        return _rejected(f"root distance {bound:.3g} s, more than {MAX_ROOT_DISTANCE_S} s", packet.stratum)
    return NtpAnswer(state="usable", interval=around(offset, bound), stratum=packet.stratum, round_trip_s=round_trip)


def _wrapped(seconds: float) -> float:
    """Return a difference of timestamps with the era left out: the nearest of all readings."""
    return (seconds + ERA_S / 2) % ERA_S - ERA_S / 2


def _kiss_code(reference: int) -> str:
    raw = reference.to_bytes(4, "big")
    text = raw.rstrip(b"\0").decode("ascii", "replace")
    return text if text and all(c in string.ascii_uppercase + string.digits for c in text) else f"0x{raw.hex()}"


def _rejected(why: str, stratum: int | None = None) -> NtpAnswer:
    return NtpAnswer(state=f"rejected: {why}", stratum=stratum)
