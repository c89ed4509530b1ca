"""Reading `web.config_file`: what it amounts to, what is told of it, and when it has changed."""

import pytest

from daemon.web.access import Access, lost, names_of
from daemon.web.tls import keeps_to
from daemon.web.web_file import read_access
from tests.support.web_access import Folder, hashed

GOOD = "cert_file: cert.pem, key_file: key.pem"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Make certificates once for all tests here."""
    made = Folder(tmp_path_factory.mktemp("web"))
    made.ours.ca_file.rename(made.path / "ca.pem")
    return made


def read(folder: Folder, text: str) -> Access:
    """Read a file that is good."""
    folder.file.write_text(text)
    access = read_access(str(folder.file))
    assert access is not None
    return access


def test_everything_at_its_place(folder: Folder) -> None:
    """The whole format, with relative names from the folder of the file."""
    made = read(
        folder,
        f"""
tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example.com, "2001:DB8::0:1"]
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: no
  curve_preferences: [CurveP384]
http_server_config:
  http2: false
  headers: {{Strict-Transport-Security: max-age=60, X-XSS-Protection: "", X-Frame-Options: sameorigin}}
basic_auth_users: {{prometheus: {hashed("a")}}}
rate_limit: {{interval: 1m0.5s, burst: 7}}
""",
    )
    assert made.tls is not None
    assert made.certificate
    assert made.sans == {"prometheus.example.com", "2001:db8::1"}
    assert made.users == {"prometheus": hashed("a").encode()}
    assert made.headers == {"Strict-Transport-Security": "max-age=60", "X-Frame-Options": "sameorigin"}
    assert (made.interval, made.burst, made.notes) == (60.5, 7, ())
    assert hashed("a") not in repr(made)


def test_inline_is_as_good_as_files(folder: Folder) -> None:
    """Certificate, key and authorities may stand in the file itself."""
    inline = {"cert": "cert.pem", "key": "key.pem", "client_ca": "ca.pem"}
    lines = [
        f"  {key}: |\n" + "".join(f"    {line}\n" for line in (folder.path / name).read_text().splitlines())
        for key, name in inline.items()
    ]
    made = read(folder, "tls_server_config:\n  client_auth_type: VerifyClientCertIfGiven\n" + "".join(lines))
    assert made.tls is not None
    assert not made.certificate


def test_a_bundle_with_names_in_its_comments(folder: Folder) -> None:
    """Bundles of authorities name them in any script; that is no reason to refuse them, and none to fall over."""
    (folder.path / "bundle.pem").write_bytes("# Autorité\n".encode() + (folder.path / "ca.pem").read_bytes())
    made = read(
        folder,
        f"tls_server_config: {{{GOOD}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: bundle.pem}}\n",
    )
    assert made.tls is not None
    assert made.tls.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("", "asks for neither TLS nor passwords"),
        ("basic_auth_users: {}\n", "asks for neither TLS nor passwords"),
        (f"basic_auth_users: {{a: {hashed('a')}}}\n", "who is on the way reads the passwords"),
        (f"tls_server_config: {{{GOOD}}}\nhttp_server_config: {{http2: true}}\n", "this server speaks HTTP/1.1 only"),
        (f"tls_server_config: {{{GOOD}, min_version: TLS10}}\n", "TLS10 is taken as TLS12"),
        (
            f"tls_server_config: {{{GOOD}, client_auth_type: RequestClientCert}}\n",
            "lets everybody in, so no certificate",
        ),
        (f"tls_server_config: {{{GOOD}, curve_preferences: [X25519, CurveP256]}}\n", "a list can't be set"),
        (
            f"tls_server_config: {{{GOOD}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}\n",
            "those of TLS 1.3 can't be chosen",
        ),
    ],
)
def test_what_is_done_otherwise_is_said(folder: Folder, text: str, note: str) -> None:
    """What Python's TLS can't do as Go's does, and is no weaker for it, is accepted and told."""
    assert any(note in said for said in read(folder, text).notes)


@pytest.mark.parametrize("curve", ["X25519", "CurveP256", "CurveP384", "CurveP521"])
def test_a_single_curve_is_kept_to_or_said_not_to_be(folder: Folder, curve: str) -> None:
    """Which curves can be kept to depends on Python: Debian 12's knows no X25519 here, and starts all the same."""
    notes = read(folder, f"tls_server_config: {{{GOOD}, curve_preferences: [{curve}]}}\n").notes
    assert any(f"can't keep to {curve} alone" in note for note in notes) is not keeps_to(curve)


def test_only_a_change_is_read_anew(folder: Folder) -> None:
    """The same bytes are no change; another certificate under the same name is one."""
    before = read(folder, f"tls_server_config: {{{GOOD}}}\n")
    assert read_access(str(folder.file), before.digest) is None
    folder.file.touch()
    assert read_access(str(folder.file), before.digest) is None
    folder.renew()
    after = read_access(str(folder.file), before.digest)
    assert after is not None
    assert after.digest != before.digest


def test_what_is_lost(folder: Folder) -> None:
    """A state that asks for less is told apart from one that asks for something else."""
    strict = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"
    full = read(folder, f"tls_server_config: {{{GOOD}, {strict}}}\nbasic_auth_users: {{a: {hashed('a')}}}\n")
    less = read(folder, f"tls_server_config: {{{GOOD}}}\nbasic_auth_users: {{b: {hashed('b')}}}\n")
    assert lost(full, less) == "client_auth_type: RequireAndVerifyClientCert"
    assert lost(full, Access()).count(" and ") == 2
    assert lost(less, full) == ""


def test_names_of_a_certificate() -> None:
    """Names, addresses in any spelling, mail and URIs are compared; a name of another kind is none."""
    names = (
        ("DNS", "a.b"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1\n"),
        ("URI", "spiffe://a/b"),
        ("email", "x@example.com"),
        ("DirName", "a.c"),
    )
    assert names_of({"subjectAltName": names}) == {"a.b", "2001:db8::1", "spiffe://a/b", "x@example.com"}
    assert names_of(None) == names_of({}) == frozenset()
