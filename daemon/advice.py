"""What a check advises, in its parts: what to do, and the commands that show the same by hand."""

import re
from dataclasses import dataclass

_BY_HAND = re.compile(
    r"^(?P<before>.*?)\s*\b(?i:Repeat(?: it)?(?: by hand)?(?: on this host)?|(?:\w+(?: it)? )?by hand): "
    r"(?P<commands>.+?)(?:(?<=\S)\. (?P<after>[A-Z]\w*[ :,].*)|(?<=\S)\.?)$"
)
"""How an action introduces what repeats the observation; a table and a page set it on a line of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do, in words, and the commands to repeat the observation; either may be empty."""

    text: str
    commands: tuple[str, ...] = ()


def split_action(action: str) -> Advice:
    """Take the commands out of an action."""
    found = _BY_HAND.match(action)
    if found is None:
        return Advice(text=action)
    text = " ".join(part for part in (found["before"], found["after"]) if part)
    commands = found["commands"]
    if commands.startswith("`") and commands.endswith("`"):
        return Advice(text=text, commands=tuple(commands[1:-1].split("` or `")))
    return Advice(text=text, commands=(commands,))
