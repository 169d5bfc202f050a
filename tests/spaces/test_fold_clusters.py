from parefront.spaces import SearchSpace, Site
from parefront.spaces.fold_clusters import fold_clusters


def fold(name: str, *layers: str) -> Site:
    return Site(f"fold/{name}", layers, ("off", "on"))


def test_folds_that_share_a_layer_belong_together() -> None:
    first, second, other = fold("a", "a", "b"), fold("b", "b", "c"), fold("x", "x", "y")
    space = SearchSpace((first, Site("bits/a", ("a",), (32, 8)), other, second), (), {})
    assert [set(cluster) for cluster in fold_clusters(space)] == [{other}, {first, second}]


def test_one_fold_may_join_two_groups() -> None:
    left, right, bridge = fold("a", "a", "b"), fold("c", "c", "d"), fold("b", "b", "c")
    assert fold_clusters(SearchSpace((left, right, bridge), (), {})) == [[left, right, bridge]]


def test_without_folds_there_is_no_group() -> None:
    assert fold_clusters(SearchSpace((Site("bits/a", ("a",), (32, 8)),), (), {})) == []
