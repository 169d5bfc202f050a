"""How a network's numbers are held in few bits: codebooks, gaps, entropy codes, and the `.pare` file."""

from .coded_weight import CodedWeight
from .tied_weight import TiedWeight

__all__ = ["CodedWeight", "TiedWeight"]
