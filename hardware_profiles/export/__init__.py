"""From a network and its precision plan to the file that a runtime loads, and to the same rounding in torch."""
