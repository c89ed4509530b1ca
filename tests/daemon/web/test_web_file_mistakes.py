"""What is wrong with `web.config_file` is told with its place, all at once, and nothing secret with it."""

from pathlib import Path

import pytest

from daemon.config.problems import ConfigError
from daemon.web.web_file import read_access
from tests.support.pki import Authority
from tests.support.web_access import Folder, hashed

GOOD = "cert_file: cert.pem, key_file: key.pem"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Make certificates once for all tests here."""
    made = Folder(tmp_path_factory.mktemp("web"))
    (made.path / "text.pem").write_text("hunter2 is no PEM\n")
    (made.path / "locked.pem").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n")
    (made.path / "folder").mkdir()
    other = Authority(made.path, "Other").issue("other.example.com")
    other.key.rename(made.path / "other.pem")
    made.ours.ca_file.rename(made.path / "ca.pem")
    return made


def fault(folder: Folder, text: str) -> str:
    """Return what is wrong, without the name of the file."""
    folder.file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_access(str(folder.file))
    return str(raised.value).replace(f"{folder.file}:", "").replace(str(folder.path), "DIR")


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("cert_file: cert.pem", "1:20: tls_server_config.key_file: missing, expected key_file or key: "),
        ("key_file: key.pem", "1:20: tls_server_config.cert_file: missing, expected cert_file or cert: "),
        ("min_version: TLS13", "without it there is no TLS; or remove the section"),
        (
            "cert_fil: cert.pem, key_file: key.pem",
            "1:21: tls_server_config.cert_fil: unknown key, did you mean cert_file?",
        ),
        (
            f"{GOOD}, cert: x",
            "1:67: tls_server_config.cert: cert and cert_file exclude each other, got both; remove one",
        ),
        (
            "cert_file: none.pem, key_file: key.pem",
            '1:32: tls_server_config.cert_file: no such file, got "DIR/none.pem"',
        ),
        ("cert_file: folder, key_file: key.pem", "tls_server_config.cert_file: Is a directory"),
        (
            "cert_file: text.pem, key_file: key.pem",
            "1:32: tls_server_config.cert_file: holds no certificate in PEM form",
        ),
        (
            "cert_file: cert.pem, key_file: text.pem",
            "1:52: tls_server_config.key_file: holds no private key in PEM form",
        ),
        (
            "cert_file: cert.pem, key_file: locked.pem",
            "the key is protected by a password, which nobody could type here",
        ),
        (
            "cert_file: cert.pem, key_file: other.pem",
            "1:52: tls_server_config.key_file: is not the key of the certificate",
        ),
        (
            f"{GOOD}, client_auth_type: RequireAnyClientCert",
            'refused, got "RequireAnyClientCert": any certificate would',
        ),
        (f"{GOOD}, client_auth_type: RequireClientCert", 'refused, got "RequireClientCert": any certificate would do'),
        (f"{GOOD}, client_auth_type: Require", 'client_auth_type: not one of the choices, got "Require", expected NoC'),
        (
            f"{GOOD}, client_auth_type: VerifyClientCertIfGiven",
            "needs client_ca_file or client_ca: else a certificate fr",
        ),
        (f"{GOOD}, client_auth_type: RequireAndVerifyClientCert", "needs client_ca_file or client_ca"),
        (
            f"{GOOD}, client_ca_file: ca.pem",
            "client_ca_file: no certificate is asked for, so nothing is checked against",
        ),
        (
            f"{GOOD}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: text.pem",
            "client_ca_file: holds no cert",
        ),
        (
            f"{GOOD}, client_allowed_sans: [a.b]",
            'client_allowed_sans: has no effect with client_auth_type "NoClientCert"',
        ),
        (
            f"{GOOD}, client_allowed_sans: null",
            "client_allowed_sans: wrong kind of value, got nothing, expected a list",
        ),
        (
            f"{GOOD}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: []",
            "client_allowed_sans: empty: that would refuse every client",
        ),
        (
            f"{GOOD}, min_version: TLS14",
            'min_version: not one of the choices, got "TLS14", expected TLS10, TLS11, TLS12 ',
        ),
        ('cert_file: cert.pem, key: "hunter2"', "1:47: tls_server_config.key: holds no private key in PEM form"),
        (
            f"{GOOD}, max_version: TLS11",
            "max_version: too old, got TLS11, expected TLS12 or TLS13: OpenSSL speaks no olde",
        ),
        (f"{GOOD}, min_version: TLS13, max_version: TLS12", "min_version: above max_version (TLS12), got TLS13"),
        (f"{GOOD}, cipher_suites: [TLS_INVENTED]", 'cipher_suites[0]: not one of the choices, got "TLS_INVENTED"'),
        (
            f"{GOOD}, cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12",
            "none of them is of TLS 1.2, and max_ve",
        ),
        (f"{GOOD}, curve_preferences: [CurveP224]", 'curve_preferences[0]: not one of the choices, got "CurveP224"'),
    ],
)
def test_tls_mistakes(folder: Folder, inside: str, said: str) -> None:
    """Each mistake of this section has its place and says what to do; the content of no file is in it."""
    found = fault(folder, f"tls_server_config: {{{inside}}}\n")
    assert said in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls_server_config:\n", "1:19: tls_server_config: wrong kind of value, got nothing, expected a mapping"),
        ("basic_auth_users:\n", "1:18: basic_auth_users: wrong kind of value, got nothing, expected a mapping"),
        ("basic_auth_user: {}\n", "1:1: basic_auth_user: unknown key, did you mean basic_auth_users?"),
        ("basic_auth_users: {alice: hunter2}\n", "1:27: basic_auth_users.alice: not a bcrypt hash, expected one that"),
        ("basic_auth_users: {alice: 123456}\n", "1:27: basic_auth_users.alice: not a bcrypt hash"),
        (
            "basic_auth_users: {alice: [hunter2]}\n",
            "basic_auth_users.alice: wrong kind of value, got a list, expected a s",
        ),
        ("basic_auth_users: {alice: }\n", "basic_auth_users.alice: not a bcrypt hash"),
        (f"basic_auth_users: {{alice: {hashed('a')}x}}\n", "basic_auth_users.alice: not a bcrypt hash"),
        (f"basic_auth_users: {{alice: {hashed('a')[:28]}z{hashed('a')[29:]}}}\n", "alice: not a bcrypt hash"),
        (
            f"basic_auth_users: {{a: {hashed('a').replace('$04$', '$16$')}}}\n",
            "a hash of cost 16, expected 4 to 15; 10 is",
        ),
        (
            f"basic_auth_users: {{'a:b': {hashed('a')}}}\n",
            'not a user name, got "a:b", expected a name without a colon',
        ),
        (
            f"basic_auth_users:\n  a: {hashed('a')}\n  a: {hashed('b')}\n",
            "3:3: basic_auth_users.a: duplicate key, first at",
        ),
        (
            "http_server_config: {headers: {Server: x}}\n",
            "headers.Server: unknown key, expected one of: Content-Securi",
        ),
        ("http_server_config: {headers: {X-Frame-Options: allow}}\n", 'got "allow", expected deny or sameorigin'),
        ("http_server_config: {headers: {X-Content-Type-Options: x}}\n", 'got "x", expected nosniff'),
        (
            'http_server_config: {headers: {X-XSS-Protection: "1\\r\\nSet-Cookie: a"}}\n',
            "control or invisible characters",
        ),
        ("http_server_config: {http2: maybe}\n", 'http2: not true or false, got "maybe"'),
        ("rate_limit: {interval: 5, burst: 1}\n", "1:24: rate_limit.interval: not a duration with its unit, got 5"),
        ("rate_limit: {interval: 1s}\n", "1:13: rate_limit.burst: missing or 0 with an interval"),
        ("rate_limit: {interval: 1s, burst: -1}\n", "burst: out of range, got -1, expected a whole number from 0 to"),
        ("[1]\n", "1:1: wrong kind of value, got a list, expected a mapping"),
        ("a: b: c\n", "1:5:"),
    ],
)
def test_other_mistakes(folder: Folder, text: str, said: str) -> None:
    """Each mistake has its place; a value that may be a password is never repeated."""
    found = fault(folder, text)
    assert said in found
    assert "hunter2" not in found
    assert "123456" not in found
    assert hashed("a")[:20] not in found


def test_all_mistakes_at_once(folder: Folder) -> None:
    """Who repairs a file sees everything that is wrong with it, in its order."""
    found = fault(folder, "tls_server_config: {key_file: a, min_version: 1}\nbasic_auth_users: {a: b}\nrate: {}\n")
    assert [line.split(":")[0] for line in found.splitlines()] == ["1", "3"]
    found = fault(folder, "tls_server_config: {key_file: a}\nbasic_auth_users: {a: b}\nrate_limit: {interval: 1s}\n")
    assert [line.split(":")[0] for line in found.splitlines()] == ["1", "2", "3"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """The file itself may be what is missing."""
    with pytest.raises(ConfigError, match=r"none\.yml: no such file, got .* create it or correct the name"):
        read_access(str(tmp_path / "none.yml"))
