"""Work that several ask for at the same time is done once: two Prometheus servers often scrape in the same moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Results in the making. None is kept once it is made: who asks later gets a new one."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[T]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return what is being made under this key, or make it.

        Raises whatever `make` raises. Where another's fails or is cancelled, it is made anew by one of those who wait.
        """
        while (found := self._under_way.get(key)) is not None:
            await asyncio.wait((found,))  # to await it would cancel it for all when one of them is cancelled
            if not found.cancelled():
                return found.result()
        future = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            made = await make()
        except BaseException:
            future.cancel()
            raise
        else:
            future.set_result(made)
            return made
        finally:
            del self._under_way[key]
