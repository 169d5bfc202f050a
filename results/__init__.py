"""Reads finished runs and presents them; never computes a score."""
