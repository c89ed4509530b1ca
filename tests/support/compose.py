"""docker-compose on a copy of deploy/, with images of the test under the names of the real ones."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.image import REPOSITORY, Docker
from tests.support.servers import find, require

TIMEOUT_S = 120
COPIED = ("docker", "prometheus", "alertmanager", "grafana")
SECRET = "not-a-real-token"


class Compose:
    """One project: a copy of deploy/ that the test may change, and the dockerd on which it runs."""

    def __init__(self, folder: Path, docker: Docker | None = None, *files: str, **env: str) -> None:
        require("docker-compose")
        self.folder = folder / "deploy/docker"
        for name in COPIED:
            shutil.copytree(REPOSITORY / "deploy" / name, folder / "deploy" / name)
        self.config = self.folder / "config/config.yaml"
        example = (self.folder / "connector.env.example").read_text()
        (self.folder / "connector.env").write_text(example.replace("TOKEN=", f"TOKEN={SECRET}"))
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # a container's user reads them
        self._files: list[str] = []
        self.use(*files or ("compose.yaml",))
        self._env = {"COMPOSE_PROJECT_NAME": "lab", **env}
        if docker is not None:
            self._env["DOCKER_HOST"] = docker.url

    def use(self, *files: str) -> None:
        """Take these compose files from now on."""
        self._files = [part for name in files for part in ("--file", name)]

    def run(self, *argv: str) -> str:
        """Run `docker-compose …`; return its output alone. Fail with all that it said."""
        command = [find("docker-compose") or "docker-compose", *self._files, *argv]
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **self._env}, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(self, *services: str) -> None:
        """`docker-compose up -d` of these services, from images that are there."""
        self.run("up", "-d", "--no-build", *services)

    def down(self) -> None:
        """Remove all of it, volumes too."""
        self.run("down", "--volumes", "--timeout", "2")
