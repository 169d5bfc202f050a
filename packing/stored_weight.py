"""The forms that a weight may be stored in beside its plain numbers."""

from __future__ import annotations

from typing import TypeAlias

from .circulant_weight import CirculantWeight
from .coded_weight import CodedWeight
from .tied_weight import TiedWeight

StoredWeight: TypeAlias = CodedWeight | TiedWeight | CirculantWeight
"""Each has `shape`, `decode()` and `scaled(factor)`."""
