"""What is compared: our proposer, with right and with useless tables, and the opponents, cold, told and seeded."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from benchmarks.search_quality_botorch import BotorchProposer
from benchmarks.search_quality_peers import PymooProposer
from benchmarks.search_quality_runs import Make
from benchmarks.search_quality_surface import Surface
from parefront.evaluators.cost_tables import CostTables, LayerCost
from parefront.evaluators.sensitivity import Damages, site_damages
from parefront.search.optuna_proposer import OptunaProposer
from parefront.search.proposal import Proposer
from parefront.search.proposer import TableProposer
from parefront.search.random_proposer import RANDOM_SAMPLER, RandomProposer
from parefront.search.uniform_ladder import uniform_ladder
from parefront.spaces import Choice, Configuration, SearchSpace

OURS = "ours"
MISLED = ("ours-flat-tables", "ours-shuffled-tables")
N_OUR_SEEDS = 16
"""Proposals of ours that others begin with: half of them are uniform, half the tables' best and changes of these."""
Choices = Mapping[str, Choice]
T = TypeVar("T")


class WrongTables(CostTables):
    """Cost tables that look up something else than what they are asked for."""

    def __init__(self, space: SearchSpace, instead: Callable[[Choices], Choices]) -> None:
        super().__init__(space)
        self._instead = instead

    def layers(self, choices: Choices) -> Sequence[LayerCost]:
        """As of `CostTables`, of other choices; so are all whole networks, which it adds up from these."""
        return super().layers(self._instead(choices))

    def layer_cost(self, layer: str, choices: Choices) -> tuple[float, float]:
        """As of `CostTables`, of other choices."""
        return super().layer_cost(layer, self._instead(choices))

    def layer_macs(self, layer: str, choices: Choices) -> int:
        """As of `CostTables`, of other choices."""
        return super().layer_macs(layer, self._instead(choices))


def ours(
    surface: Surface,
    seed: int,
    *,
    tables: CostTables | None = None,
    damages: Damages | None = None,
    divergences: Damages | None = None,
) -> Proposer:
    """parefront's own proposer; the only place here that knows its constructor."""
    return TableProposer(
        surface.space,
        tables or CostTables(surface.space),
        damages or site_damages(surface.network, surface.space),
        seed,
        surface.spec.goals,
        divergences=divergences or surface.divergences,
    )


def ours_with_flat_tables(surface: Surface, seed: int) -> Proposer:
    """Every choice costs what the uncompressed layer costs, and does as much as any other to weights and outputs."""

    def flat(damages: Damages) -> Damages:
        each = statistics.fmean(value for values in damages.values() for value in values.values())
        return {
            site.name: {choice: each * (choice != site.neutral) for choice in site.choices}
            for site in surface.space.sites
        }

    damages = flat(site_damages(surface.network, surface.space))
    tables = WrongTables(surface.space, lambda choices: {})
    return ours(surface, seed, tables=tables, damages=damages, divergences=flat(surface.divergences))


def ours_with_shuffled_tables(surface: Surface, seed: int) -> Proposer:
    """Every site's costs are those of its choices in another order, and damages are dealt out anew over all."""
    rng = random.Random(f"shuffle:{seed}")
    orders = {
        site.name: dict(zip(site.choices, _shuffled(site.choices, rng), strict=True)) for site in surface.space.sites
    }

    def dealt(right: Damages) -> Damages:
        values = iter(_shuffled([value for each in right.values() for value in each.values()], rng))
        return {name: {choice: next(values) for choice in each} for name, each in right.items()}

    def instead(choices: Choices) -> Choices:
        return {site.name: orders[site.name][choices.get(site.name, site.neutral)] for site in surface.space.sites}

    divergences, damages = dealt(surface.divergences), dealt(site_damages(surface.network, surface.space))
    tables = WrongTables(surface.space, instead)
    return ours(surface, seed, tables=tables, damages=damages, divergences=divergences)


def ladder(surface: Surface, seed: int) -> list[Configuration]:
    """The uniform configurations, which anybody would try first; the same for every seed."""
    return [configuration for configuration, _ in uniform_ladder(surface.space)]


def our_seeds(surface: Surface, seed: int) -> list[Configuration]:
    """What our own proposer begins with on this surface, results and all, and the rest of the ladder."""
    proposer, found = ours(surface, seed), []
    proposer.tell(surface.baseline)
    for number in range(1, N_OUR_SEEDS + 1):
        (proposal,) = proposer.ask(1)
        found.append(proposal.configuration)
        proposer.tell(surface.trial(number, proposal))
    return list(dict.fromkeys([*found, *ladder(surface, seed)]))


def _shuffled(values: Iterable[T], rng: random.Random) -> list[T]:
    found = list(values)
    return rng.sample(found, len(found))


Seeding = Callable[[Surface, int], Sequence[Configuration]]
SEEDINGS: Mapping[str, Seeding] = {"ladder": ladder, "our seeds": our_seeds}


def random_method(surface: Surface, seed: int, *, is_told: bool, seeding: Seeding | None = None) -> Proposer:
    """Uniform draws, which no telling changes."""
    return RandomProposer(surface.space, seed, seeds=seeding(surface, seed) if seeding else ())


def optuna_method(
    surface: Surface,
    seed: int,
    *,
    sampler: str,
    is_told: bool,
    seeding: Seeding | None = None,
    is_ordered: bool = False,
) -> Proposer:
    """One of Optuna's samplers."""
    return OptunaProposer(
        surface.space,
        sampler,
        seed,
        surface.spec.goals,
        seeds=seeding(surface, seed) if seeding else (),
        is_told_limits=is_told,
        has_ordered_choices=is_ordered,
    )


def pymoo_method(surface: Surface, seed: int, *, is_told: bool, seeding: Seeding | None = None) -> Proposer:
    """NSGA-II of pymoo."""
    seeds = seeding(surface, seed) if seeding else ()
    return PymooProposer(surface.space, seed, surface.spec.goals, seeds=seeds, is_told_floor=is_told)


def botorch_method(surface: Surface, seed: int, *, is_told: bool, seeding: Seeding | None = None) -> Proposer:
    """qLogNEHVI of BoTorch."""
    seeds = seeding(surface, seed) if seeding else ()
    return BotorchProposer(surface.space, seed, surface.spec.goals, seeds=seeds, is_told_floor=is_told)


FAMILIES: Mapping[str, Callable[..., Proposer]] = {
    RANDOM_SAMPLER: random_method,
    "nsga2": partial(optuna_method, sampler="nsga2"),
    "nsga3": partial(optuna_method, sampler="nsga3"),
    "tpe": partial(optuna_method, sampler="tpe"),
    "tpe-ordered": partial(optuna_method, sampler="tpe", is_ordered=True),
    "tpe-univariate-ordered": partial(optuna_method, sampler="tpe-univariate", is_ordered=True),
    "gp-ordered": partial(optuna_method, sampler="gp", is_ordered=True),
    "pymoo-nsga2": pymoo_method,
    "qlognehvi": botorch_method,
}
"""Opponents; `ordered`: a site is an integer instead of a category, which is much the better for those that model."""


def _methods() -> dict[str, Make]:
    found: dict[str, Make] = {
        OURS: ours,
        MISLED[0]: ours_with_flat_tables,
        MISLED[1]: ours_with_shuffled_tables,
    }
    for name, family in FAMILIES.items():
        found[f"{name} cold"] = partial(family, is_told=False)
        if name != RANDOM_SAMPLER:
            found[f"{name} told"] = partial(family, is_told=True)
        for seeding, seeds in SEEDINGS.items():
            found[f"{name} + {seeding}"] = partial(family, is_told=True, seeding=seeds)
    return found


METHODS: Mapping[str, Make] = _methods()
"""`FAMILY cold`, `FAMILY told` (the accuracy floor is a constraint), `FAMILY + ladder` or `+ our seeds` (told, too)."""
OFF_THE_SHELF = tuple(name for name in METHODS if not name.startswith(OURS) and not name.endswith("our seeds"))
COLD = tuple(name for name in METHODS if name.endswith(("cold", "told")))
SEEDED = tuple(name for name in METHODS if "+" in name)
