"""Passwords of people and of Prometheus: bcrypt in one thread, and what is known already from a cache.

bcrypt is slow on purpose: 50 ms of a core with the usual cost. So it never runs on the loop, which also times the
probes; one is computed at a time and few may wait, for the core belongs to the Connector; and who was let in once is
known again by a keyed digest. A password itself is kept nowhere.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial

from checks.blocking import Blocking

VERIFY_S = 20.0  # a hash of the highest cost that is allowed takes 2 s: longer means that this process gets no CPU
CLOSE_S = 0.2  # for the thread: a hash under way is not waited for
KNOWN_RIGHT = 1000  # digests of 32 bytes: one for each user that is allowed
KNOWN_WRONG = 256  # a scraper with an old password asks every few seconds; who guesses pushes only other guesses out
BCRYPT_BYTES = 72  # bcrypt knows no more of a password; the library wants it cut, other programs do so in silence


class Passwords:
    """Judges `Authorization` headers. One cache serves whatever users hold: the hash is part of what is looked up."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._thread = Blocking("bcrypt")

    async def right(self, users: Mapping[str, bytes], headers: Sequence[str]) -> bool:
        """Tell whether these headers hold the name of a user and its password.

        An unknown name costs the same time as a wrong password: one user's hash is computed for it, always the same
        one for the same name. Raises: BusyError, TimeoutError.
        """
        given = _name_and_password(headers)
        if given is None or not users:
            return False
        name, password = given
        stored = users.get(name)
        against = stored or self._stand_in(users, name)
        digest = self._digest(name.encode(), against, password)
        if digest in self._right:
            self._right.move_to_end(digest)
            return stored is not None
        if digest in self._wrong:
            self._wrong.move_to_end(digest)
            return False
        matches = await self._thread.call(partial(_matches, password, against), VERIFY_S)
        good = matches and stored is not None
        cache, most = (self._right, KNOWN_RIGHT) if good else (self._wrong, KNOWN_WRONG)
        cache[digest] = None
        if len(cache) > most:
            cache.popitem(last=False)
        return good

    async def close(self) -> None:
        """End the thread."""
        await self._thread.close(CLOSE_S)

    def _stand_in(self, users: Mapping[str, bytes], name: str) -> bytes:
        hashes = sorted(users.values())
        number = int.from_bytes(hmac.digest(self._key, name.encode(), "sha256")[:8])
        return hashes[number % len(hashes)]

    def _digest(self, *parts: bytes) -> bytes:
        """Return what stands for these parts; each is hashed alone, so that none can reach into its neighbour."""
        return hmac.digest(self._key, b"".join(hashlib.sha256(part).digest() for part in parts), "sha256")


def _matches(password: bytes, stored: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - needed only where users are configured

    return bcrypt.checkpw(password[:BCRYPT_BYTES], stored)


def _name_and_password(headers: Sequence[str]) -> tuple[str, bytes] | None:
    """Read `Basic` of RFC 7617; None when it is something else, or given twice."""
    if len(headers) != 1:
        return None
    scheme, _, encoded = headers[0].strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
