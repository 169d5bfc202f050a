from collections.abc import Callable
from dataclasses import replace

from parefront.results.ending import ending_line
from parefront.search.trial import FROM, REMEASURED, State, Trial
