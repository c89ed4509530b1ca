"""The packets of half-open probes: what is built is valid, and no bytes from outside break what is read."""

import errno
import socket
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.net.synwire import (
    Sequences,
    build_syn,
    build_syn6,
    checksum_part,
    read_error,
    read_reply,
    read_reply6,
)

OWN = 40000
ports = st.integers(0, 65535)
numbers = st.integers(0, 0xFFFFFFFF)
addresses = st.binary(min_size=4, max_size=4)


def total(data: bytes) -> int:
    """Return the one's complement sum of 16-bit words (RFC 1071)."""
    added: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while added >> 16:
        added = (added & 0xFFFF) + (added >> 16)
    return added


@given(addresses, addresses, ports, ports, numbers)
def test_the_checksum_is_right(source: bytes, target: bytes, own: int, port: int, sequence: int) -> None:
    """For whatever addresses, ports and numbers: a receiver's sum over packet and pseudo header is all ones."""
    packet = build_syn(own, port, sequence, checksum_part(source, target))
    assert total(source + target + struct.pack("!HH", 6, len(packet)) + packet) == 0xFFFF
    assert struct.unpack_from("!HHII", packet) == (own, port, sequence, 0)


def test_a_syn_is_what_any_client_sends() -> None:
    """The flag SYN alone, a window, the segment size of Ethernet, and no data."""
    for packet, size in ((build_syn(1, 2, 3, 0), 1460), (build_syn6(1, 2, 3), 1440)):
        assert struct.unpack_from("!BBH", packet, 12) == (6 << 4, 0x02, 64240)
        assert packet[18:] == struct.pack("!HBBH", 0, 2, 4, size)


def segment(flags: int, acknowledged: int, *, port: int = 5432, to: int = OWN) -> bytes:
    """Return a TCP header."""
    return struct.pack("!HHIIBBHHH", port, to, 7, acknowledged, 5 << 4, flags, 1024, 0, 0)


def ipv4(payload: bytes, options: bytes = b"") -> bytes:
    """Return an IPv4 packet from 10.0.0.1."""
    head = 0x45 + len(options) // 4
    return struct.pack("!BBHHHBBH4s4s", head, 0, 0, 0, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2") + options + payload


def test_answers_are_read() -> None:
    """A SYN/ACK accepts, a reset with ACK refuses, also behind IP options; all else is no answer."""
    key = 0x0A000001 << 16 | 5432
    rows: list[tuple[int, bool | None]] = [
        (0x12, True), (0x52, True), (0x13, True), (0x14, False), (0x16, False), (0x04, None), (0x02, None),
        (0x10, None), (0x11, None), (0x18, None), (0x00, None),
    ]  # fmt: skip
    for flags, accepts in rows:
        for options in (b"", bytes(4), bytes(40)):
            packet = ipv4(segment(flags, 99), options)
            expected = None if accepts is None else (key, 99, accepts)
            assert read_reply(packet, len(packet), OWN) == expected, flags
        bare = segment(flags, 99)
        assert read_reply6(bare, len(bare), OWN) == (None if accepts is None else (5432, 99, accepts))
    other = ipv4(segment(0x12, 99, to=OWN + 1))
    assert read_reply(other, len(other), OWN) is None
    assert read_reply6(segment(0x12, 99, to=OWN + 1), 20, OWN) is None


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda rest: b"\x45" + rest)), ports)
def test_no_packet_breaks_the_reader(packet: bytes, own: int) -> None:
    """Cut, garbled or hostile: an answer or None, never an exception, and only for our own port."""
    buffer = bytearray(128)
    buffer[: len(packet)] = packet
    for reader in (read_reply, read_reply6):
        found = reader(buffer, len(packet), own)
        assert found is None or (0 <= found[0] < 1 << 48 and 0 <= found[1] < 1 << 32)


def entry(number: int, kind: int, code: int, *, origin: int = 2, by: bytes = b"\x0a\0\0\xfe") -> bytes:
    """Return a struct sock_extended_err with the offender behind it."""
    return struct.pack("=IBBBBII", number, origin, kind, code, 0, 0, 0) + struct.pack("=HH", 2, 0) + by + bytes(8)


def test_icmp_errors_are_read() -> None:
    """Port and number of our packet, the errno of the kernel, and words for a person."""
    head = struct.pack("!HHI", OWN, 5432, 77)
    error = read_error(socket.AF_INET, head, entry(errno.EHOSTUNREACH, 3, 13), OWN)
    assert error
    assert (error.port, error.sequence, error.number) == (5432, 77, errno.EHOSTUNREACH)
    assert error.text == "ICMP type 3 code 13 (administratively prohibited) from 10.0.0.254"
    late = read_error(socket.AF_INET, head, entry(errno.EHOSTUNREACH, 11, 0), OWN)
    assert late
    assert late.text == "ICMP type 11 code 0 (time exceeded) from 10.0.0.254"


def test_what_ends_no_connect_ends_no_look() -> None:
    """Path MTU discovery, codes that nobody knows, errors of this host, and packets of others."""
    head = struct.pack("!HHI", OWN, 5432, 77)
    for told in (
        entry(errno.EMSGSIZE, 3, 4), entry(errno.EHOSTUNREACH, 3, 16), entry(errno.EHOSTUNREACH, 3, 1, origin=1),
        entry(0, 3, 1), b"",
    ):  # fmt: skip
        assert read_error(socket.AF_INET, head, told, OWN) is None
    assert read_error(socket.AF_INET, head[:7], entry(errno.EHOSTUNREACH, 3, 1), OWN) is None
    assert read_error(socket.AF_INET, head, entry(errno.EHOSTUNREACH, 3, 1), OWN + 1) is None


@given(st.sampled_from([socket.AF_INET, socket.AF_INET6]), st.binary(max_size=60), st.binary(max_size=60), ports)
def test_no_error_breaks_the_reader(family: int, head: bytes, told: bytes, own: int) -> None:
    """Whatever stands in the error queue."""
    found = read_error(family, head, told, own)
    assert found is None or (found.number > 0 and found.text)


def test_sequence_numbers_can_not_be_foretold() -> None:
    """They spread over all 32 bits, none comes twice, and two probers share none."""
    one, two = Sequences(), Sequences()
    found = [one.next() for _ in range(4096)]
    assert len(set(found)) > 4090
    assert len(set(found) & {two.next() for _ in range(4096)}) < 10
    assert all(1700 < sum(number >> bit & 1 for number in found) < 2400 for bit in range(32))
