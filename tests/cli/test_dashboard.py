import re
import subprocess
import urllib.request
from pathlib import Path

from ..conftest import Parefront


def test_it_says_where_it_is_and_warns_of_other_hosts(program: str, tmp_path: Path, own_cache_directory: Path) -> None:
    command = [program, "dashboard", str(tmp_path), "--port", "0", "--host", "0.0.0.0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            found = re.search(r"http://0\.0\.0\.0:(\d+)/", server.stdout.readline())
            assert found is not None
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=60) as answer:
                assert b"parefront dashboard" in answer.read()
        finally:
            server.terminate()
            _, complaints = server.communicate(timeout=60)
    assert "warning: --host 0.0.0.0 lets everybody" in complaints
    assert "there is no password" in complaints


def test_a_folder_that_is_none_is_one_line(parefront: Parefront, tmp_path: Path) -> None:
    done = parefront("dashboard", tmp_path / "none")
    assert done.returncode == 1
    assert "a dashboard is for a folder of runs" in done.stderr
    assert "Traceback" not in done.stderr
