"""What may be chosen in a network, and how a choice is made real."""

from .compress import Finished, finish, prepare, reestimate_batch_norm
from .configuration import Configuration
from .linearise import set_linearity
from .moot_rules import executed_part
from .network import Layer, Network, trace
from .options import DEFAULT_OPTIONS, CompressionOptions, observe
from .quantized_weight import QuantizedWeight
from .simulate import simulate
from .site import Choice, LeftAlone, Site
from .space import SearchSpace, find_space

__all__ = [
    "DEFAULT_OPTIONS",
    "Choice",
    "CompressionOptions",
    "Configuration",
    "Finished",
    "Layer",
    "LeftAlone",
    "Network",
    "QuantizedWeight",
    "SearchSpace",
    "Site",
    "executed_part",
    "find_space",
    "finish",
    "observe",
    "prepare",
    "reestimate_batch_norm",
    "set_linearity",
    "simulate",
    "trace",
]
