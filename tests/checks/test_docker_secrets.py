"""Whatever Docker answers, and however its answer is damaged: nothing of it is in what we say, log or raise."""

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from checks.connlog.model import LogUnreadableError
from checks.net.errors import NetError
from checks.runtime.docker import MAX_LOOKED_INTO, DockerRuntime
from checks.runtime.docker_log import DockerLog
from checks.runtime.model import MAX_VALUE, Sighting, allowed_environment
from tests.support.docker_fake import answer, engine, fixed

JWT = "eyJhbGciOiJFUzI1NiJ9.planted"
PLANTED = JWT.encode()
ID = "a1" * 32
HEAD = b"HTTP/1.1 200 OK\r\n"
DAMAGED = {
    "an error": answer({"message": JWT}, 500),
    "a cut environment": answer(b'{"Config":{"Env":["TWINGATE_ACCESS_TOKEN=' + PLANTED + b'"'),
    "a wrong type": answer({"Id": ID, "Name": "/office", "State": JWT}),
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/" + PLANTED + b"\r\nContent-Length: 0\r\n\r\n",
    "a reason": b"HTTP/1.1 500 " + PLANTED + b"\r\nContent-Length: 0\r\n\r\n",
    "no status": b"BAD" + PLANTED + b"\r\n\r\n",
    "no header": HEAD + PLANTED + b"\r\nContent-Length: 2\r\n\r\n{}",
    "a header without a name": HEAD + b": x\r\n" + PLANTED + b"\r\nContent-Length: 2\r\n\r\n{}",
    "no length": HEAD + b"Content-Length: " + PLANTED + b"\r\n\r\n{}",
    "no chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + PLANTED + b"\r\n",
    "no gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PLANTED) + PLANTED,
}
INSPECTED = {
    "Id": ID, "Name": "/office", "State": {"Status": "running", "Running": True}, "HostConfig": {},
    "Config": {"Image": "twingate/connector:1"},
}  # fmt: skip


def shown(error: BaseException) -> str:
    """Return what a traceback of this error shows."""
    seen: BaseException | None = error
    text = ""
    while seen is not None:
        text += repr(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return text


@pytest.mark.parametrize("case", DAMAGED)
async def test_nothing_of_an_answer_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str) -> None:
    """The look, the log that is followed, their errors and our log at level debug: none repeats what Docker sent."""
    caplog.set_level(logging.DEBUG)
    said = fixed({"/containers/office/json": DAMAGED[case], "/containers/office/logs": DAMAGED[case]})
    async with engine(tmp_path, said) as url:
        runtime = DockerRuntime(url, "office")
        runtime._api._answer_s = 0.3
        seen = await runtime.look()
        await runtime.close()
        told = repr(seen)
        batches = DockerLog(url, "office").follow(None, None)
        with contextlib.suppress(TimeoutError):
            try:
                async for batch in batches:
                    told += repr(batch)
            except (LogUnreadableError, NetError) as error:
                told += shown(error)
        await batches.aclose()
    assert "planted" not in told + caplog.text


async def look(folder: Path, inspected: Mapping[str, object], listed: Mapping[str, object] | None = None) -> Sighting:
    """Look once at what this engine says of its only container."""
    answers = {f"/containers/{ID}/json": answer(inspected), "/containers/office/json": answer(inspected)}
    answers["/containers/json"] = answer([listed] if listed else [])
    async with engine(folder, fixed(answers)) as url:
        runtime = DockerRuntime(url, None if listed else "office")
        seen = await runtime.look()
        await runtime.close()
    return seen


@pytest.mark.parametrize("name", ["/--user=65534", "/../../images/x", "/a b", "/", "/a\x1b[31m"])
async def test_a_name_that_docker_does_not_give_is_no_answer(tmp_path: Path, name: str) -> None:
    """The name goes on into questions and the helper's arguments: one that Docker would refuse is not taken."""
    seen = await look(tmp_path, {**INSPECTED, "Name": name})
    assert seen.problem is not None
    assert "can't be read" in seen.evidence


async def test_a_container_that_is_being_removed_hides_no_other(tmp_path: Path) -> None:
    """Docker lists it without any name; the list is read all the same."""
    seen = await look(tmp_path, INSPECTED, {"Id": ID, "Names": None, "Image": "twingate/connector:1"})
    assert (seen.name, seen.running) == ("office", True)


@pytest.mark.parametrize(
    "entry",
    [
        f"TWINGATE_LABEL_SITE={JWT}.x",
        "TWINGATE_NETWORK=acme TWINGATE_ACCESS_TOKEN=planted",
        "TWINGATE_LOG_X=1\nTWINGATE_REFRESH_TOKEN=planted",
        "TWINGATE_URL=https://planted:planted@acme.example.com",
        "TWINGATE_LABEL_OWNER=planted@example.com",
        "TWINGATE_LABEL_planted@example.com=x",
        f"TWINGATE_LABEL_{'A' * 64}=planted",
        f"TWINGATE_LABEL_SITE={'x' * MAX_VALUE}TWINGATE_ACCESS_TOKEN=planted",
        "TWINGATE_ACCESS_TOKEN=planted",
    ],
)
def test_a_slip_of_quotes_lets_no_token_through(entry: str) -> None:
    """A token, a password or an e-mail address in an allowed variable is not kept, and the others are."""
    assert dict(allowed_environment([entry, "TWINGATE_LOG_LEVEL=5"])) == {"TWINGATE_LOG_LEVEL": "5"}


async def test_what_was_not_looked_into_is_said(tmp_path: Path) -> None:
    """Of thousands of containers without a name of their image some are not asked about: that is no "there is none"."""
    many = [{"Id": f"{n:064x}", "Image": f"sha256:{n:064x}", "State": "running"} for n in range(MAX_LOOKED_INTO + 7)]
    async with engine(tmp_path, fixed({"/containers/json": answer(many)})) as url:
        runtime = DockerRuntime(url)
        seen = await runtime.look()
        await runtime.close()
    assert "(7 whose image has no name were not looked into)" in seen.evidence
