"""What is probed: one process that accepts on every address of 127/8, on as many ports as asked for.

Run: python -m bench.listener PORTS. Prints its ports as a JSON list, and accepts until it is ended. It holds a
connection until the other side has closed it, as servers do: its own close would come first otherwise, and
with a reset a client might be told of an error after it had connected. Its CPU counts nowhere.
"""

import json
import selectors
import socket
import sys

BACKLOG = 4096


def main() -> None:
    """Listen until ended."""
    waiting = selectors.DefaultSelector()
    servers = [socket.create_server(("0.0.0.0", 0), backlog=BACKLOG) for _ in range(int(sys.argv[1]))]
    for server in servers:
        server.settimeout(0)
        waiting.register(server, selectors.EVENT_READ, accept_all)
    print(json.dumps([server.getsockname()[1] for server in servers]), flush=True)
    while True:
        for key, _ in waiting.select():
            key.data(waiting, key.fileobj)


def accept_all(waiting: selectors.BaseSelector, server: socket.socket) -> None:
    """Take every connection that waits."""
    while True:
        try:
            connection, _ = server.accept()
        except BlockingIOError:
            return
        connection.settimeout(0)
        waiting.register(connection, selectors.EVENT_READ, close_at_end)


def close_at_end(waiting: selectors.BaseSelector, connection: socket.socket) -> None:
    """Close a connection that the other side has closed; what it may send is thrown away."""
    try:
        over = not connection.recv(4096)
    except BlockingIOError:
        return
    except ConnectionError:
        over = True
    if over:
        waiting.unregister(connection)
        connection.close()


if __name__ == "__main__":
    main()
