"""An action in its parts."""

import pytest

from daemon.advice import Advice, split_action


@pytest.mark.parametrize(
    ("action", "text", "commands"),
    [
        ("", "", ()),
        ("Start it.", "Start it.", ()),
        ("Start it. Repeat it by hand on this host: nc -vz a 1", "Start it.", ("nc -vz a 1",)),
        ("Repeat: dig a A", "", ("dig a A",)),
        ("Look with `ss -ltn`. Repeat: nc -vz a 1", "Look with `ss -ltn`.", ("nc -vz a 1",)),
        ("Fix it. By hand: `chronyd -Q` or `date -u; curl x`", "Fix it.", ("chronyd -Q", "date -u; curl x")),
        ("Restart it. By hand: `chronyc -n sources`", "Restart it.", ("chronyc -n sources",)),
        ("Ask it by hand: dig @10.0.0.3 a A. Is it meant?", "Is it meant?", ("dig @10.0.0.3 a A",)),
        ("Compare by hand: dig @a x; dig @b x", "", ("dig @a x; dig @b x",)),
        ("Ask it by hand: dig @10.0.0.3 a A.", "", ("dig @10.0.0.3 a A",)),
        ("Ask it by hand: dig a A. NXDOMAIN: it is misspelt.", "NXDOMAIN: it is misspelt.", ("dig a A",)),
        ("Ask it by hand: dig @10.0.0.3 db.corp. AAAA", "", ("dig @10.0.0.3 db.corp. AAAA",)),
        ("Ask it by hand: dig @10.0.0.3 . NS. Is it up?", "Is it up?", ("dig @10.0.0.3 . NS",)),
    ],
)
def test_the_command_is_taken_out_of_the_action(action: str, text: str, commands: tuple[str, ...]) -> None:
    """Whatever the wording, what can be copied is told apart from what is to be done."""
    assert split_action(action) == Advice(text=text, commands=commands)
