"""Damaged files are made by a benchmark's module, for which the root is made known, as in `tests/benchmarks`."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# At the end: the root's own `search` or `tasks` must not hide somebody else's module.
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
