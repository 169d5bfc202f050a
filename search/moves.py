"""Small changes around good configurations."""

from __future__ import annotations

import random
from collections.abc import Mapping

from ..spaces import Choice, Configuration, SearchSpace, Site

MAX_CHANGED_SITES = 4


def mutate(space: SearchSpace, parent: Mapping[str, Choice], rng: random.Random) -> Configuration:
    """Moves one to four sites by one or two steps along their choices."""
    choices = dict(parent)
    for site in rng.sample(space.sites, min(len(space.sites), rng.randint(1, MAX_CHANGED_SITES))):
        choices[site.name] = _step(site, choices.get(site.name, site.neutral), rng.choice((-2, -1, 1, 2)))
    return space.canonical(choices)


def exchange(space: SearchSpace, parent: Mapping[str, Choice], rng: random.Random) -> Configuration:
    """Gives one site back what it lost, by a step or wholly, and takes from one or two others instead."""
    choices = dict(parent)
    eased = rng.choice(sorted(parent))
    site = space.site(eased)
    choices[eased] = site.neutral if rng.random() < 0.3 else _step(site, choices[eased], -1)
    for other in rng.sample(space.sites, min(len(space.sites), rng.randint(1, 2))):
        if other.name != eased:
            choices[other.name] = _step(other, choices.get(other.name, other.neutral), 1)
    return space.canonical(choices)


def shift_group(space: SearchSpace, parent: Mapping[str, Choice], rng: random.Random) -> Configuration:
    """Moves all sites of one technique, or those of one part of the network, by one step the same way."""
    sites = space.by_technique[rng.choice(list(space.by_technique))]
    first, last = sorted((rng.randrange(len(sites)), rng.randrange(len(sites))))
    direction = rng.choice((-1, 1))
    choices = dict(parent)
    for site in sites[first : last + 1]:
        choices[site.name] = _step(site, choices.get(site.name, site.neutral), direction)
    return space.canonical(choices)


def cross(space: SearchSpace, a: Mapping[str, Choice], b: Mapping[str, Choice], rng: random.Random) -> Configuration:
    """The first layers as in one parent, the last as in the other; or one technique as in one, else the other."""
    cut, swapped = rng.random(), rng.choice(list(space.by_technique)) if rng.random() < 0.3 else None
    choices: dict[str, Choice] = {}
    for technique, sites in space.by_technique.items():
        for position, site in enumerate(sites):
            is_first = technique != swapped if swapped is not None else position < cut * len(sites)
            source = a if is_first else b
            choices[site.name] = source.get(site.name, site.neutral)
    return space.canonical(choices)


def random_configuration(space: SearchSpace, rng: random.Random) -> Configuration:
    """Every site anywhere among its choices."""
    return space.canonical({site.name: rng.choice(site.choices) for site in space.sites})


def _step(site: Site, choice: Choice, distance: int) -> Choice:
    position = site.choices.index(choice) + distance
    return site.choices[min(len(site.choices) - 1, max(0, position))]
