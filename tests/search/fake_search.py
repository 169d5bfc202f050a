"""Stands for `parefront search` in the tests of sweeps: a trial is a line in a file, and a run goes on behind its last.

Its flag `cut` says how it is to fail: `once`, `always` or `never`.
"""

import sys
import time
from pathlib import Path

import yaml

NAP_S = 0.05


def main() -> None:
    flags = yaml.safe_load(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
    out = Path(flags["out"])
    trials, failed = out / "trials.txt", out / "failed"
    n_done = len(trials.read_text().split()) if trials.exists() else 0
    try:
        for number in range(n_done, int(flags["trials"])):
            time.sleep(NAP_S)
            with trials.open("a") as file:
                file.write(f"{number}\n")
            if flags["cut"] == "always" or (flags["cut"] == "once" and not failed.exists()):
                failed.touch()
                sys.exit("noise\nerror: no luck today")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
