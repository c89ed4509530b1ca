"""One HTTP request to where alerts or heartbeats go: bounded, nothing followed, and its failure a clause for people.

No proxy, no cookie, no compression, a new connection each time: a request a minute gains nothing from an old one, and
an old one may be half closed. Errors are worded here by their kind; the library's own texts may hold the URL.
"""

import ssl
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from checks.date_header import read_date
from checks.net.errors import net_error
from checks.net.seat import Resolver
from checks.net.text import printable
from daemon.push.names import RememberingResolver

TIMEOUT_S = 10.0  # for all of a request, as Prometheus
MAX_ANSWER_BYTES = 16 * 1024  # an Alertmanager's answer is empty, or one sentence
MAX_CLAUSE = 200  # characters of what somebody else's library or resolver says
USER_AGENT = "connector-health"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back; `status` None: no answer, and `problem` says why.

    `kind`: its Content-Type without parameters. `date`: its Date header, in Unix seconds. `text` is the beginning of
    what it said, and may hold anything.
    """

    status: int | None = None
    problem: str = ""
    kind: str = ""
    date: int | None = None
    text: str = field(default="", repr=False)


class HttpClient:
    """Sends requests to one host; made on a running loop, or at least first used on one."""

    def __init__(self, resolver: Resolver, timeout_s: float = TIMEOUT_S) -> None:
        self._names = RememberingResolver(resolver)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Reply:
        """Send one request; never raises for what the network says."""
        session = self._session = self._session or self._opened()
        try:
            async with session.request(
                method,
                URL(url, encoded=True),
                data=body,
                headers=headers,
                ssl=tls or True,
                allow_redirects=False,
            ) as response:
                text = await _bounded(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._names.note(good=False)
            return Reply(problem=_problem(error, self._timeout_s))
        self._names.note(good=True)
        return Reply(
            status=response.status,
            kind=response.content_type if "Content-Type" in response.headers else "",
            date=read_date(tuple((name.lower(), value) for name, value in response.headers.items()))[0],
            text=text,
        )

    async def close(self) -> None:
        """Close what is open; closing again does nothing."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(resolver=self._names, use_dns_cache=False, force_close=True)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
            read_bufsize=MAX_ANSWER_BYTES,
        )


async def _bounded(response: aiohttp.ClientResponse) -> str:
    """Return the beginning of the body; the rest is not read, for the connection is closed anyway."""
    content = bytearray()
    while len(content) < MAX_ANSWER_BYTES:
        part = await response.content.read(MAX_ANSWER_BYTES - len(content))
        if not part:
            break
        content += part
    if len(content) >= MAX_ANSWER_BYTES:
        response.close()
    return content.decode("utf-8", "replace")


def _problem(error: Exception, timeout_s: float) -> str:
    """Say why there is no answer, in our words: the library's may hold the URL."""
    match error:
        case TimeoutError():
            text = f"no complete answer within {timeout_s:g} s"
        case aiohttp.ClientConnectorDNSError():
            text = f"its name does not resolve: {printable(error.os_error.strerror or '', MAX_CLAUSE)}"
        case aiohttp.ClientConnectorCertificateError():
            text = f"its certificate is not trusted: {_certificate_problem(error.certificate_error)}"
        case aiohttp.ClientConnectorError():
            text = _kernel_problem(error.os_error)
        case aiohttp.ServerDisconnectedError():
            text = "it closed the connection without an answer"
        case OSError():
            text = _kernel_problem(error)
        case aiohttp.ClientPayloadError():
            text = "its answer broke off"
        case aiohttp.ClientResponseError():
            text = "it answers, but not with HTTP"
        case _:
            text = f"the request failed ({type(error).__name__})"
    return text


def _certificate_problem(error: Exception) -> str:
    text = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else type(error).__name__
    return printable(text.rstrip("."), MAX_CLAUSE)


def _kernel_problem(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({printable(error.reason or 'no reason given', MAX_CLAUSE)})"
    return net_error(error).evidence if error.errno is not None else "the connection failed"
