import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.stun import MAGIC_COOKIE, MalformedError, Response, binding_request, new_transaction, parse_response

# The sample responses of RFC 5769, sections 2.2 and 2.3.
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
SAMPLE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
SAMPLE_V6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179"
    "bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
MAPPED_V4 = struct.pack("!xBH4B", 1, 32853, 192, 0, 2, 1)


def message(*attributes: tuple[int, bytes], kind: int = 0x0101, cookie: int = MAGIC_COOKIE) -> bytes:
    """Write a STUN message."""
    body = b"".join(struct.pack("!HH", t, len(v)) + v + bytes(-len(v) % 4) for t, v in attributes)
    return struct.pack("!HHI", kind, len(body), cookie) + TRANSACTION + body


def test_a_request_is_twenty_bytes_with_the_cookie_and_our_transaction() -> None:
    """RFC 8489 section 5: type, length, magic cookie, transaction."""
    assert binding_request(TRANSACTION) == bytes.fromhex("000100002112a442") + TRANSACTION
    assert len({new_transaction() for _ in range(100)}) == 100
    assert {len(new_transaction())} == {12}


@pytest.mark.parametrize(
    ("data", "mapped"),
    [
        (SAMPLE, ("192.0.2.1", 32853)),
        (SAMPLE_V6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
        (message((0x0001, MAPPED_V4)), ("192.0.2.1", 32853)),
        (message((0x0001, struct.pack("!xBH4B", 1, 1, 9, 9, 9, 9)), (0x0020, SAMPLE[40:48])), ("192.0.2.1", 32853)),
        (message((0x0004, b"old."), (0x802B, b"1"), (0x0001, MAPPED_V4)), ("192.0.2.1", 32853)),
        (message((0x0001, MAPPED_V4), (0x0001, b"bad")), ("192.0.2.1", 32853)),
    ],
    ids=["rfc5769-v4", "rfc5769-v6", "mapped-only", "xor-wins", "others-ignored", "first-counts"],
)
def test_the_mapped_address_is_read(data: bytes, mapped: tuple[str, int]) -> None:
    """XOR-MAPPED-ADDRESS before MAPPED-ADDRESS, the first of each, the RFC's own samples."""
    assert parse_response(data) == Response(transaction=TRANSACTION, mapped=mapped)


def test_an_error_response_is_an_answer_too() -> None:
    """Its code and reason are read; there is no address."""
    data = message((0x0009, b"\0\0\x04\x14Unknown Attribute"), kind=0x0111)
    assert parse_response(data) == Response(transaction=TRANSACTION, error_code=420, error_reason="Unknown Attribute")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "shorter"),
        (SAMPLE[:19], "shorter"),
        (SAMPLE[:-4], "the header says"),
        (SAMPLE + b"\0\0\0\0", "the header says"),
        (message((0x0001, MAPPED_V4), cookie=0), "magic cookie"),
        (message((0x0001, MAPPED_V4), kind=0x0001), "not a Binding response"),
        (message((0x0001, MAPPED_V4), kind=0x4101), "not a Binding response"),
        (message(), "without a mapped address"),
        (message((0x0001, b"\0\1")), "too short"),
        (message((0x0001, MAPPED_V4 + b"1234")), "an address of family"),
        (message((0x0001, b"\0\7" + MAPPED_V4[2:])), "an address of family"),
        (message((0x0001, struct.pack("!xBH4B", 1, 0, 192, 0, 2, 1))), "port of 0"),
        (message((0x7777, b""), (0x0001, MAPPED_V4)), "must be understood"),
        (message(kind=0x0111), "without its code"),
        (message((0x0009, b"\0\0\x07\x00"), kind=0x0111), "error class 7"),
        (message((0x0009, b"\0\0\x04\x64"), kind=0x0111), "number 100"),
        (struct.pack("!HHI", 0x0101, 4, MAGIC_COOKIE) + TRANSACTION + b"\x00\x01\x00\x08", "past the end"),
        (struct.pack("!HHI", 0x0101, 2, MAGIC_COOKIE) + TRANSACTION + b"\x00\x01", "the header says"),
    ],
)
def test_what_a_client_must_discard_is_named(data: bytes, why: str) -> None:
    """Each malformation has its sentence."""
    with pytest.raises(MalformedError, match=why):
        parse_response(data)


@given(st.one_of(st.binary(max_size=200), st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))))
def test_no_datagram_breaks_the_reader(data: bytes | tuple[int, int]) -> None:
    """Anything at all, and the sample with any one byte changed: a response or MalformedError, nothing else."""
    if isinstance(data, tuple):
        at, value = data
        data = SAMPLE[:at] + bytes([value]) + SAMPLE[at + 1 :]
    try:
        response = parse_response(data)
    except MalformedError:
        return
    assert len(response.transaction) == 12
    assert (response.mapped is None) is not (response.error_code is None)


@given(st.integers(1, 65535), st.ip_addresses(), st.binary(min_size=12, max_size=12))
def test_every_address_survives_the_xor(port: int, address: object, transaction: bytes) -> None:
    """What a server encodes by RFC 8489 section 14.2 is what we read."""
    packed = address.packed  # type: ignore[attr-defined]
    plain = struct.pack("!H", port) + packed
    mask = struct.pack("!I", MAGIC_COOKIE) + transaction
    xored = bytes(a ^ b for a, b in zip(plain, mask[:2] + mask, strict=False))
    value = bytes([0, 1 if len(packed) == 4 else 2]) + xored
    head = struct.pack("!HHI", 0x0101, 4 + len(value), MAGIC_COOKIE) + transaction
    data = head + struct.pack("!HH", 0x0020, len(value)) + value
    assert parse_response(data) == Response(transaction=transaction, mapped=(str(address), port))
