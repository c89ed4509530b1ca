"""A busy connection beside the daemon: none of its packets are copied to the daemon's raw socket."""

import os
import signal
import socket
import threading
from pathlib import Path

from tests.support.harm_lab import inside
from tests.support.netns import Namespace, namespace
from tests.support.process import Process, daemon, quiet_config
from tests.support.raw_sockets import raw_sockets
from tests.support.servers import wait_until

STREAM_BYTES = 200 << 20
PIECE = bytes(1 << 20)


def stream(ns: Namespace) -> int:
    """Send a stream over the namespace's loopback; return how many bytes arrived."""
    arrived = 0
    with ns.entered():
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.socket()
    with server, client:
        client.connect(server.getsockname())
        peer, _ = server.accept()

        def send() -> None:
            for _ in range(STREAM_BYTES // len(PIECE)):
                client.sendall(PIECE)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        with peer:
            while got := len(peer.recv(len(PIECE))):
                arrived += got
        sender.join()
    return arrived


def stand_still(process: Process) -> None:
    """Stop a daemon at a moment when no answer to a probe waits for it: what comes in from now on stays there."""
    pid = process.popen.pid

    def stopped() -> bool:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def still() -> bool:
        process.tell(signal.SIGSTOP)
        wait_until(stopped, lambda: True, lambda: "it does not stop")
        if any(sock.waiting for sock in raw_sockets(pid)):
            process.tell(signal.SIGCONT)
            return False
        return True

    wait_until(still, lambda: True, lambda: "an answer always waits")


def test_a_busy_stream_is_not_copied_to_the_raw_socket(tmp_path: Path) -> None:
    """200 MiB pass by while the daemon stands still: nothing waits for it, where a socket without filter overflows."""
    with namespace() as ns:
        with ns.entered():
            target = socket.create_server(("127.0.0.1", 0))
        port = target.getsockname()[1]
        resource = f"resources:\n  - {{name: Target, address: 127.0.0.1, tcp: [{port}]}}\n"
        config = quiet_config(tmp_path, f"{resource}schedule: {{interval: 1s}}\n")
        row_id = f"tcp:127.0.0.1:{port}"
        with target, daemon(config, before=inside(ns), dial=ns.entered) as process:
            pid = process.popen.pid
            process.until(lambda: process.rows().get(row_id, {}).get("status") == "ok", "ok")
            assert process.rows()[row_id]["facts"]["method"] == "half_open"
            assert raw_sockets(pid)
            with ns.entered():
                unfiltered = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
            with unfiltered:
                stand_still(process)
                try:
                    assert stream(ns) == STREAM_BYTES
                    (beside,) = raw_sockets(os.getpid(), Path(f"/proc/{pid}/net"))
                    assert min(beside.waiting, beside.dropped) > 0, "the control: this one was told of the stream"
                    assert [(s.waiting, s.dropped) for s in raw_sockets(pid)] == [(0, 0)] * len(raw_sockets(pid))
                finally:
                    process.tell(signal.SIGCONT)
            runs = process.metric("connector_health_checks_total")['check="tcp"']
            process.until(lambda: process.metric("connector_health_checks_total")['check="tcp"'] > runs, "looks again")
            assert process.rows()[row_id]["status"] == "ok"
