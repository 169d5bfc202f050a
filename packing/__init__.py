"""How a network's numbers are held in few bits: codebooks, gaps, entropy codes, and the `.pare` file."""

from .account import TensorBytes, account
from .coded_weight import CodedWeight
from .pare_file import Unpacked, pack, unpack
from .tied_weight import TiedWeight

__all__ = ["CodedWeight", "TensorBytes", "TiedWeight", "Unpacked", "account", "pack", "unpack"]
