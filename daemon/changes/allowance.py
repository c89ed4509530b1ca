"""How often a network that does not come to rest may have things asked again."""


class Allowance:
    """Rounds of questions that may be asked: so many at once, and one is regained every `regain_s` seconds."""

    def __init__(self, rounds: int, regain_s: float) -> None:
        self._most = self._left = float(rounds)
        self._regain_s = regain_s
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take one round; tell whether there was one. `now`: seconds of a clock that only goes on."""
        self._left = min(self._most, self._left + max(0.0, now - self._at) / self._regain_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
