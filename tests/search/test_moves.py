import random

from parefront.search.moves import MAX_CHANGED_SITES, cross, exchange, mutate, random_configuration, shift_group
from parefront.spaces import Configuration, SearchSpace


def changed(space: SearchSpace, a: Configuration, b: Configuration) -> list[str]:
    return [site.name for site in space.sites if a.get(site.name) != b.get(site.name)]


def test_a_mutation_moves_few_sites_by_few_steps(small_space: SearchSpace) -> None:
    parent = Configuration.of({"bits/a": 8, "prune/a": 24})
    children = {mutate(small_space, parent, random.Random(seed)) for seed in range(200)}
    for child in children:
        assert small_space.canonical(child) == child
        if "fold/a" not in child:  # which makes others moot
            assert len(changed(small_space, parent, child)) <= MAX_CHANGED_SITES
            assert child.get("prune/a", 32) in (32, 24, 16, 8)
    # Two steps from 24 reach 8, one step up the full width.
    assert {child.get("prune/a", 32) for child in children if "fold/a" not in child} == {32, 24, 16, 8}
    assert len(children) > 20


def test_a_shift_moves_one_technique_one_way(tiny_space: SearchSpace) -> None:
    parent = Configuration.of({"bits/stem": 8, "bits/hidden": 8})
    for seed in range(100):
        child = shift_group(tiny_space, parent, random.Random(seed))
        moved = changed(tiny_space, parent, child)
        if any(name.startswith("fold") for name in moved):
            continue  # a fold takes the choices that it makes moot with it
        assert len({name.partition("/")[0] for name in moved}) <= 1
        steps = {
            tiny_space.site(name).choices.index(child.get(name, tiny_space.site(name).neutral))
            - tiny_space.site(name).choices.index(parent.get(name, tiny_space.site(name).neutral))
            for name in moved
        }
        assert steps in (set(), {1}, {-1})


def test_a_crossing_takes_the_front_of_one_and_the_back_of_the_other(tiny_space: SearchSpace) -> None:
    ones = Configuration.of({site.name: 8 for site in tiny_space.sites if site.technique == "bits"})
    bits = [site.name for site in tiny_space.sites if site.technique == "bits"]
    lengths = set()
    for seed in range(60):
        child = cross(tiny_space, ones, Configuration(), random.Random(seed))
        taken = [name in child for name in bits]
        assert taken == sorted(taken, reverse=True)
        lengths.add(sum(taken))
    assert lengths >= {1, 2, 3}
    assert cross(tiny_space, ones, ones, random.Random(0)) == ones


def test_the_same_random_numbers_give_the_same_moves(tiny_space: SearchSpace) -> None:
    a, b = Configuration.of({"bits/stem": 8}), Configuration.of({"bits/hidden": 8})
    for _ in range(2):
        first, second = random.Random(7), random.Random(7)
        assert mutate(tiny_space, a, first) == mutate(tiny_space, a, second)
        assert shift_group(tiny_space, a, first) == shift_group(tiny_space, a, second)
        assert cross(tiny_space, a, b, first) == cross(tiny_space, a, b, second)


def test_a_move_leaves_its_parent_alone(small_space: SearchSpace) -> None:
    parent = Configuration.of({"bits/a": 8})
    mutate(small_space, parent, random.Random(0))
    assert parent == Configuration.of({"bits/a": 8})


def test_an_exchange_gives_one_site_back_and_takes_from_others(small_space: SearchSpace) -> None:
    parent = Configuration.of({"prune/a": 16})
    widths, taken = set(), set()
    for seed in range(200):
        child = exchange(small_space, parent, random.Random(seed))
        assert small_space.canonical(child) == child
        if "fold/a" in child:
            continue  # which makes others moot
        widths.add(child.get("prune/a", 32))
        for site in small_space.sites:
            if site.name != "prune/a":
                # By one step from neutral along the order of the choices.
                assert site.choices.index(child.get(site.name, site.neutral)) <= 1
                taken |= {site.name} & set(child)
    assert widths == {24, 32}  # a step back, or wholly
    assert taken == {"rank/b", "bits/a", "bits/b"}


def test_steps_follow_the_order_of_the_choices(small_space: SearchSpace) -> None:
    """A width is a number: a mutation reaches those next to it, and never leaps from one end to the other."""
    steps = set()
    for seed in range(300):
        child = mutate(small_space, Configuration.of({}), random.Random(seed))
        if "fold/a" not in child:
            steps.add(child.get("prune/a", 32))
    assert steps == {32, 24, 16}  # at most two steps of 32, 24, 16, 8


def test_chance_reaches_every_choice_of_every_site(small_space: SearchSpace) -> None:
    rng = random.Random(0)
    found = [random_configuration(small_space, rng) for _ in range(300)]
    assert all(small_space.canonical(each) == each for each in found)
    for site in small_space.sites:
        assert {each.get(site.name, site.neutral) for each in found} == set(site.choices)
