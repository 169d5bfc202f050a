"""How a network's numbers are held in few bits: codebooks, gaps, entropy codes, and the `.pare` file."""

from .account import TensorBytes, account
from .assignment import assign
from .circulant_weight import CirculantWeight, nearest_circulant
from .coded_weight import CodedWeight
from .kmeans import Clusters, cluster
from .lloyd_max import Levels, fitted_levels, lloyd_max
from .pare_file import Unpacked, pack, unpack
from .sharing import compression_rate, share_weights, sharing_starts
from .stored_weight import StoredWeight
from .tied_weight import TiedWeight
from .tying import tie_filters

__all__ = [
    "CirculantWeight",
    "Clusters",
    "CodedWeight",
    "Levels",
    "StoredWeight",
    "TensorBytes",
    "TiedWeight",
    "Unpacked",
    "account",
    "assign",
    "cluster",
    "compression_rate",
    "fitted_levels",
    "lloyd_max",
    "nearest_circulant",
    "pack",
    "share_weights",
    "sharing_starts",
    "tie_filters",
    "unpack",
]
