"""Ctrl-C before there is anything to show."""

import signal
from pathlib import Path

from tests.support.process import healthctl, quiet_port


def test_ctrl_c_before_the_first_verdicts_ends_the_demo(tmp_path: Path) -> None:
    """Who interrupts `demo` while it still waits for its first verdicts is not kept waiting, and sees no traceback."""
    port = quiet_port()
    arguments = ("demo", "--listen", f"127.0.0.1:{port}")
    with healthctl(tmp_path, *arguments, port=port, env={"TMPDIR": str(tmp_path)}) as process:
        process.until(lambda: process.get("/-/healthy").status == 200, "healthy")
        code, _ = process.end(signal.SIGINT)
        assert (code, "Traceback" in process.log) == (0, False)
        assert "SUMMARY" not in process.stdout, "it was interrupted too late for this test"
