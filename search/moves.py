"""Small changes around a good configuration."""

from __future__ import annotations

import random

from ..spaces import Choice, Configuration, SearchSpace, Site

MAX_CHANGED_SITES = 4


def mutate(space: SearchSpace, parent: Configuration, rng: random.Random) -> Configuration:
    """Moves one to four sites by one or two steps along their choices."""
    choices = dict(parent)
    for site in rng.sample(space.sites, min(len(space.sites), rng.randint(1, MAX_CHANGED_SITES))):
        choices[site.name] = _step(site, choices.get(site.name, site.neutral), rng.choice((-2, -1, 1, 2)))
    return space.canonical(choices)


def shift_group(space: SearchSpace, parent: Configuration, rng: random.Random) -> Configuration:
    """Moves all sites of one technique, or those of one part of the network, by one step the same way."""
    technique = rng.choice(sorted({site.technique for site in space.sites}))
    sites = [site for site in space.sites if site.technique == technique]
    first, last = sorted((rng.randrange(len(sites)), rng.randrange(len(sites))))
    direction = rng.choice((-1, 1))
    choices = dict(parent)
    for site in sites[first : last + 1]:
        choices[site.name] = _step(site, choices.get(site.name, site.neutral), direction)
    return space.canonical(choices)


def cross(space: SearchSpace, a: Configuration, b: Configuration, rng: random.Random) -> Configuration:
    """The first layers as in one parent, the last as in the other."""
    cut = rng.random()
    choices: dict[str, Choice] = {}
    for technique in {site.technique for site in space.sites}:
        sites = [site for site in space.sites if site.technique == technique]
        for position, site in enumerate(sites):
            source = a if position < cut * len(sites) else b
            choices[site.name] = source.get(site.name, site.neutral)
    return space.canonical(choices)


def _step(site: Site, choice: Choice, distance: int) -> Choice:
    position = site.choices.index(choice) + distance
    return site.choices[min(len(site.choices) - 1, max(0, position))]
