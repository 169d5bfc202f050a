"""Files whose graph takes bytes by a known law: what must be found out about it."""

import dataclasses
import itertools

import pytest

from parefront.evaluators.graph_bytes import GraphBytes
from parefront.evaluators.layer_forms import MERGED, PLAIN, Form, Part
from parefront.spaces import Choice

N = 6


def form(number: int, bits: Choice = 32, n_parts: int = 1, kind: str = PLAIN) -> Form:
    part = Part(f"l{number}", bits, (3, 3), (1, 1), 1, 64, 16, 16)
    return Form(f"l{number}", kind, bits, (part,) * n_parts)


def network(*bits: Choice) -> list[Form]:
    return [form(number, width) for number, width in enumerate(bits)]


def predicted(graph: GraphBytes, forms: list[Form]) -> float:
    behind = [*(form.bits for form in forms[1:]), None]
    return graph.fixed + sum(graph.of(graph.terms(*each)) for each in zip(forms, behind, strict=True))


@pytest.fixture
def graph() -> GraphBytes:
    return GraphBytes(network(*[32] * N))


def test_before_anything_was_seen_there_is_nothing(graph: GraphBytes) -> None:
    assert predicted(graph, network(*[32] * N)) == 0


def test_what_was_seen_comes_back(graph: GraphBytes) -> None:
    graph.add(network(*[32] * N), 3000.0)
    assert predicted(graph, network(*[32] * N)) == pytest.approx(3000)


def test_a_linear_law_is_found(graph: GraphBytes) -> None:
    # 200 for the file, 300 per layer, 1000 more in int8, 150 where the precision changes, 250 per further factor.
    def law(forms: list[Form]) -> float:
        changes = sum(a.bits != b.bits for a, b in itertools.pairwise(forms))
        int8, more = sum(f.bits == 8 for f in forms), sum(len(f.parts) - 1 for f in forms)
        return 200 + 300 * len(forms) + 1000 * int8 + 150 * changes + 250 * more

    seen = [
        network(*[32] * N),
        network(*[8] * N),
        network(8, 8, 8, 32, 32, 32),
        network(32, 8, 32, 8, 8, 8),
        network(8, 32, 32, 32, 8, 32),
        network(*[32] * N)[:4],
        network(*[8] * N)[2:],
        [*network(32, 32, 32), form(3, 32, 3), form(4), form(5)],
    ]
    for forms in seen:
        graph.add(forms, law(forms))
    for forms in (network(32, 32, 8, 8, 32, 32), network(8, 32, 8, 32, 8, 32)[:5], [*network(32, 32), form(2, 32, 2)]):
        assert predicted(graph, forms) == pytest.approx(law(forms), rel=0.01)


def test_a_layer_with_a_long_name_is_told_from_the_others(graph: GraphBytes) -> None:
    whole = network(*[32] * N)
    for forms, n_bytes in ((whole, 700.0), (whole[:5], 600.0), (whole[:4], 500.0), (whole[1:], 200.0)) * 20:
        graph.add(forms, n_bytes)
    # Without l0 400 bytes less than without any other.
    assert predicted(graph, whole[1:4]) == pytest.approx(0, abs=20)


def test_a_file_without_anything_but_weights_needs_nothing(graph: GraphBytes) -> None:
    graph.add(network(*[32] * N), 0.0)
    assert predicted(graph, network(*[8] * N)) == 0


def test_a_merged_layer_counts_as_one(graph: GraphBytes) -> None:
    graph.add(network(*[32] * N), 600.0)
    terms = graph.terms(form(0, kind=MERGED), None)
    assert terms == graph.terms(dataclasses.replace(form(0)), None)
