"""Write the dashboards: `python -m deploy.grafana [DIRECTORY]`, by default beside this module."""

import sys
from pathlib import Path

from deploy.grafana.board import render
from deploy.grafana.boards import BOARDS


def main() -> None:
    """Write each dashboard's JSON."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for board in BOARDS:
        (folder / board.file).write_text(render(board), "utf-8")


if __name__ == "__main__":
    main()
