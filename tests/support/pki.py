"""Certificate authorities and certificates for one test, written where a server can read them."""

import datetime as dt
import itertools
from dataclasses import dataclass
from pathlib import Path

import trustme

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """Files of a certificate: `chain` (leaf first, with what links it to the root) and `key`, both PEM."""

    chain: Path
    key: Path


class Authority:
    """A root that a test may trust (`ca_file`), or leave unknown."""

    def __init__(
        self, folder: Path, organization: str = "Public Roots Inc", parent_ca: trustme.CA | None = None
    ) -> None:
        self._folder = folder
        self.ca = trustme.CA(parent_cert=parent_ca, organization_name=organization)
        self.ca_file = folder / f"ca-{next(_NUMBERS)}.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)

    def intermediate(self, organization: str = "Issuing CA Ltd") -> "Authority":
        """Make an authority that this one vouches for; its certificates come with its own in the chain."""
        return Authority(self._folder, organization, self.ca)

    def issue(self, *names: str, valid_from: dt.datetime = NOW - DAY, valid_to: dt.datetime = NOW + DAY) -> KeyPair:
        """Issue a certificate for host names or addresses."""
        leaf = self.ca.issue_cert(*names, not_before=valid_from, not_after=valid_to)
        number = next(_NUMBERS)  # not the object's id: the next one's may be the same
        chain, key = self._folder / f"chain-{number}.pem", self._folder / f"key-{number}.pem"
        leaf.private_key_pem.write_to_path(key)
        chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        return KeyPair(chain=chain, key=key)

    def expired(self, *names: str) -> KeyPair:
        """Issue a certificate that was valid until an hour ago."""
        return self.issue(*names, valid_from=NOW - 9 * DAY, valid_to=NOW - DAY / 24)

    def not_yet_valid(self, *names: str) -> KeyPair:
        """Issue a certificate that is valid from an hour from now."""
        return self.issue(*names, valid_from=NOW + DAY / 24, valid_to=NOW + 9 * DAY)
