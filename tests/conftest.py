"""What holds for every test."""

import asyncio

# pytest-asyncio asks for "the current loop" before its first test, and without this line the main thread would make one
# that nobody closes: its ResourceWarning would then fail whichever test the garbage collector happens to run in.
asyncio.set_event_loop(None)
