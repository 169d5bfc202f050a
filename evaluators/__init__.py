"""What a candidate is worth: accuracy, latency, size and MACs."""
