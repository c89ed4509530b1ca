"""Verifying passwords: right, wrong, unknown; how often bcrypt is computed; and what is kept of them."""

import asyncio
import base64
import threading

import pytest

from checks.blocking import MAX_WAITING, BusyError
from daemon.web.passwords import KNOWN_WRONG, Passwords
from tests.support.web_access import basic, hashed

USERS = {"alice": hashed("right").encode(), "bob": hashed("other").encode()}


def header(name: str, password: str) -> list[str]:
    """Return the values of the header."""
    return [basic(name, password).removeprefix("Authorization: ")]


class Counting:
    """A stand-in for the thread: counts what is computed, and computes it at once, or, `lazy`, finds it wrong."""

    def __init__(self) -> None:
        self.count = 0
        self.lazy = False

    async def call(self, function: object, timeout_s: float) -> object:  # noqa: ARG002 - as Blocking has it
        """Compute."""
        self.count += 1
        return not self.lazy and function()  # type: ignore[operator]


@pytest.fixture
def counted() -> tuple[Passwords, Counting]:
    """Make one whose bcrypt is counted."""
    passwords, counting = Passwords(), Counting()
    passwords._thread = counting  # type: ignore[assignment]
    return passwords, counting


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (header("alice", "right"), True),
        (header("bob", "other"), True),
        (header("alice", "other"), False),
        (header("alice", ""), False),
        (header("alice", "right\0"), False),
        (header("Alice", "right"), False),
        (header("carol", "right"), False),
        (header("", ""), False),
        ([header("alice", "right")[0].replace("Basic ", "bAsIc   ")], True),
        ([header("alice", "right")[0].replace("Basic", "Bearer")], False),
        (header("alice", "right") * 2, False),
        (["Basic"], False),
        (["Basic !!!"], False),
        (["Basic " + base64.b64encode(b"alice").decode()], False),
        (["Basic " + base64.b64encode(b"\xff:right").decode()], False),
        ([""], False),
        ([], False),
    ],
)
async def test_who_is_let_in(given: list[str], right: bool) -> None:
    """Only a user's own password lets in; what is no such header is nobody's."""
    passwords = Passwords()
    assert await passwords.right(USERS, given) is right
    assert await passwords.right(USERS, given) is right
    assert not await passwords.right({}, given)
    await passwords.close()


async def test_long_passwords_are_those_of_bcrypt() -> None:
    """bcrypt reads 72 bytes of a password, whatever else is given: as the programs do that make the hashes."""
    users = {"alice": hashed("x" * 72).encode()}
    passwords = Passwords()
    assert await passwords.right(users, header("alice", "x" * 80))
    assert not await passwords.right(users, header("alice", "x" * 71))
    await passwords.close()


async def test_each_password_is_computed_once(counted: tuple[Passwords, Counting]) -> None:
    """A scraper costs bcrypt once, also one whose password is wrong; another hash is another question."""
    passwords, counting = counted
    for _ in range(3):
        assert await passwords.right(USERS, header("alice", "right"))
        assert not await passwords.right(USERS, header("alice", "wrong"))
    assert counting.count == 2
    changed = {**USERS, "alice": hashed("new").encode()}
    assert not await passwords.right(changed, header("alice", "right"))
    assert await passwords.right(changed, header("alice", "new"))
    assert not await passwords.right({"bob": USERS["bob"]}, header("alice", "right"))
    assert counting.count == 5


async def test_unknown_names_cost_the_same(counted: tuple[Passwords, Counting]) -> None:
    """Neither the first nor a later try tells whether a user exists: a name is computed against one user's hash."""
    passwords, counting = counted
    for number in range(20):
        before = counting.count
        assert not await passwords.right(USERS, header(f"nobody-{number}", "right"))
        assert counting.count == before + 1
        assert not await passwords.right(USERS, header(f"nobody-{number}", "right"))
        assert counting.count == before + 1


async def test_another_users_password_lets_nobody_in(counted: tuple[Passwords, Counting]) -> None:
    """That an unknown name is judged by a real hash is never a way in, also when its user is known already."""
    passwords, _ = counted
    one = {"alice": USERS["alice"]}
    assert await passwords.right(one, header("alice", "right"))
    for _ in range(2):
        assert not await passwords.right(one, header("mallory", "right"))


async def test_guessing_pushes_nobody_out(counted: tuple[Passwords, Counting]) -> None:
    """However much is guessed, the memory for it is bounded, and who was let in is known still."""
    passwords, counting = counted
    assert await passwords.right(USERS, header("alice", "right"))
    counting.lazy = True
    for number in range(KNOWN_WRONG * 2):
        assert not await passwords.right(USERS, header("alice", str(number)))
    assert len(passwords._wrong) == KNOWN_WRONG
    assert await passwords.right(USERS, header("alice", "right"))


async def test_few_wait_for_bcrypt() -> None:
    """More than a few passwords at a time are refused, not queued; the loop goes on meanwhile."""
    passwords, may_go = Passwords(), threading.Event()
    async with asyncio.TaskGroup() as group:
        blocked = [group.create_task(passwords._thread.call(lambda: may_go.wait(5), 9)) for _ in range(1 + MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await passwords.right(USERS, header("alice", "right"))
        may_go.set()
    assert all(task.result() for task in blocked)
    assert await passwords.right(USERS, header("alice", "right"))
    await passwords.close()


async def test_a_password_is_kept_nowhere() -> None:
    """What is remembered of a password that was verified holds neither it nor its hash."""
    passwords, secret = Passwords(), "a-very-rare-pass-phrase"
    users = {"alice": hashed(secret).encode()}
    assert await passwords.right(users, header("alice", secret))
    kept = b"".join([*passwords._right, *passwords._wrong]) + repr(vars(passwords)).encode()
    assert secret.encode() not in kept
    assert users["alice"] not in kept
    await passwords.close()
