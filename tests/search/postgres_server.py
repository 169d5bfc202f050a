"""A PostgreSQL server for tests: in a directory of its own, reached through a socket there, never as root."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PASSWORD = "not-to-be-written"


def find_programs() -> Path | None:
    """The directory of PostgreSQL's programs; None where there are none."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((place for place in places if all((place / name).is_file() for name in ("initdb", "pg_ctl"))), None)


class PostgresServer:
    """One server; a context manager."""

    def __init__(self, programs: Path) -> None:
        # Not in pytest's directory, which nobody else may enter.
        self.root = Path(tempfile.mkdtemp(prefix="parefront-postgres-"))
        self._programs, self._user = programs, None
        if os.geteuid() == 0:
            shutil.chown(self.root, "postgres", "postgres")
            self._user = "postgres"
        # For copies of this file that lie on other paths: no machine's address is in it.
        self.url = f"postgresql://postgres:{PASSWORD}@/postgres?host={self.root}"

    def __enter__(self) -> "PostgresServer":
        password = self.root / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "--no-sync", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def start(self) -> None:
        options = f"-c listen_addresses= -c fsync=off -c unix_socket_directories={self.root}"
        self._run("pg_ctl", "-w", "-l", str(self.root / "server.log"), "-o", options, "start")

    def stop(self) -> None:
        """As if the machine had failed: nothing is said to the clients."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self.root / "data"), *arguments]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        # Not captured: the server would hold the pipe open.
        output = self.root / "programs.log"
        with output.open("ab") as log:
            subprocess.run(
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.root,
                timeout=60,
                **({} if self._user is None else {"user": self._user, "group": self._user, "extra_groups": []}),
            )
