"""Folds that have to do with each other."""

from __future__ import annotations

from .site import Site
from .space import SearchSpace


def fold_clusters(space: SearchSpace) -> list[list[Site]]:
    """The fold sites in groups that share layers, directly or by way of others, each in the order of the network."""
    clusters: list[tuple[set[str], list[Site]]] = []
    for site in space.sites:
        if site.technique == "fold":
            met = [cluster for cluster in clusters if not cluster[0].isdisjoint(site.layers)]
            clusters = [cluster for cluster in clusters if cluster not in met]
            layers = set(site.layers).union(*(cluster[0] for cluster in met))
            clusters.append((layers, [*(fold for cluster in met for fold in cluster[1]), site]))
    return [folds for _, folds in clusters]
