"""How the meter reaches the process that measures, on this machine or elsewhere, and what they say to each other."""
