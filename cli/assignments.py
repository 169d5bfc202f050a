"""`SITE=CHOICE` as people type it, with patterns and percentages, made into a configuration of a space."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..hardware_profiles.errors import SpaceError
from ..spaces import Choice, Configuration, SearchSpace, Site

_PATTERN = re.compile(r"[*?\[]")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_NO_WIDTHS = frozenset({"bits"})
"""Techniques whose whole numbers are no widths, so that a share of them means nothing."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A site that a pattern names and that does not take its choice, with the reason."""

    site: str
    reason: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a person set.

    Attributes:
        configuration: Canonical.
        skipped: What patterns named in vain, by site; a site that was named by itself is never skipped but refused.
    """

    configuration: Configuration
    skipped: tuple[Skipped, ...] = ()


def assign(
    space: SearchSpace,
    texts: Iterable[str],
    start: Mapping[str, Choice] | None = None,
    *,
    ignored: frozenset[str] = frozenset(),
) -> Assigned:
    """The configuration that assignments describe.

    A site may be a pattern (`bits/*`), which sets every site that it matches and that offers the choice; a choice may
    be a share of the full width (`50%`: the nearest offered width, the wider of two). A site named by itself wins over
    patterns; of several patterns the last one wins.

    Args:
        space: What may be chosen.
        texts: Each `SITE=CHOICE`.
        start: Choices that hold where no assignment names the site.
        ignored: Techniques whose assignments are not looked at.

    Raises:
        SpaceError: Not of that form, an unknown site or choice, a pattern without effect, or choices that exclude each
            other.
    """
    by_name: dict[str, Choice] = {}
    by_pattern: dict[str, Choice] = {}
    skipped: dict[str, str] = {}
    for text in texts:
        name, value = _split(text)
        if name.partition("/")[0] in ignored:
            continue
        if _PATTERN.search(name):
            found, without = _spread(space, name, value)
            by_pattern |= found
            skipped = {site: why for site, why in {**skipped, **without}.items() if site not in found}
        else:
            choice = _choice_of(space.site(name), value)
            if by_name.get(name, choice) != choice:
                raise SpaceError(f"{name} must be set once, got {by_name[name]} and {choice}: leave one of the two out")
            by_name[name] = choice
    given = {site: choice for site, choice in (start or {}).items() if site.partition("/")[0] not in ignored}
    explicit = {**{site: choice for site, choice in given.items() if site not in by_pattern}, **by_name}
    space.parse(explicit)
    wanted = {**by_pattern, **explicit}
    lost = {
        site: why for site, why in _without_effect(space, wanted).items() if wanted[site] != space.site(site).neutral
    }
    for site in lost.keys() & explicit.keys():
        raise SpaceError(f"{site}={explicit[site]} has no effect: {lost[site]}; leave one of the two out")
    skipped = {site: why for site, why in {**skipped, **lost}.items() if site not in by_name}
    return Assigned(space.canonical(wanted), tuple(Skipped(*each) for each in sorted(skipped.items())))


def _split(text: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise SpaceError(f"--set must be SITE=CHOICE, got {text!r}: write for instance --set 'bits/*=8'")
    return name, value


def _spread(space: SearchSpace, pattern: str, value: str) -> tuple[dict[str, Choice], dict[str, str]]:
    """What a pattern sets, and the sites that do not offer the choice."""
    sites = [site for site in space.sites if fnmatchcase(site.name, pattern)]
    if not sites:
        techniques = ", ".join(f"{name}/*" for name in dict.fromkeys(site.technique for site in space.sites))
        raise SpaceError(f"the pattern {pattern!r} must match a site, but matches none: there are {techniques}")
    choices = {site.name: _choice_of(site, value) for site in sites}
    found = {site.name: choices[site.name] for site in sites if choices[site.name] in site.choices}
    if not found:
        offered = ", ".join(dict.fromkeys(str(choice) for site in sites for choice in site.choices))
        raise SpaceError(f"no site that matches {pattern!r} offers {value}: choose among {offered}")
    return found, {
        site.name: f"offers {', '.join(map(str, site.choices))}, not {value}"
        for site in sites
        if site.name not in found
    }


def _choice_of(site: Site, value: str) -> Choice:
    """The text as a choice of the site's own type; not necessarily one that it offers."""
    percent = _PERCENT.fullmatch(value)
    widths = [choice for choice in site.choices if isinstance(choice, int)]
    if percent and len(widths) == len(site.choices) and site.technique not in _NO_WIDTHS:
        wanted = int(site.neutral) * float(percent[1]) / 100
        return min(widths, key=lambda width: (abs(width - wanted), -width))
    same = next((choice for choice in site.choices if str(choice) == value), None)
    if same is not None:
        return same
    return int(value) if value.isdecimal() else value


def _without_effect(space: SearchSpace, choices: Mapping[str, Choice]) -> dict[str, str]:
    """The choices that canonical form drops beside the neutral ones, with the rule."""
    kept = space.canonical(choices)
    rules = {moot.site: moot.rule for moot in space.moot_sites(choices)}
    return {site: rules.get(site, "another choice makes it moot") for site in choices if site not in kept}
