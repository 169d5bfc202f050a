"""Latency: the meter, the process that measures, and the statistics between them."""
