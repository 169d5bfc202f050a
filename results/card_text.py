"""The card of an exported model as Markdown; what comes from a task or a run stands in code spans, as no markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluators.evaluator import Score
from .wording import word_bytes, word_ratio, word_score

_NAMES = {
    "accuracy": "accuracy, validation (%)",
    "accuracy_drop": "accuracy lost, validation (pt)",
    "test_accuracy": "accuracy, test (%)",
    "test_drop": "accuracy lost, test (pt)",
    "latency_ms": "latency (ms per batch)",
    "size_bytes": "file size",
    "stored_bytes": "packed file size",
    "memory_bytes": "memory",
    "energy_mj": "energy (mJ)",
    "macs": "multiply-accumulates per sample",
    "parity_error": "difference from PyTorch (of the outputs' deviation)",
}
_DIGITS = {"%": 2, "pt": 2, "ms": 4, "mJ": 3}
_NOT_MEASURED = "–"


def card_text(facts: Mapping[str, Any]) -> str:
    """The whole card.

    Args:
        facts: See `model_card.card_facts`.
    """
    parts = [
        [f"# {code(facts['name'])}"],
        _about(facts),
        ["## Loading it", "```python\n" + facts["loading"].rstrip("\n") + "\n```"],
        ["## Scores", *_scores(facts)],
        ["## What was done", *_done(facts)],
        ["## Hardware", *_hardware(facts["hardware"])],
        ["## Check", *_check(facts)],
        ["## Versions", _list(facts["versions"])],
    ]
    return "\n\n".join(block for part in parts for block in part) + "\n"


def code(text: object) -> str:
    """Any text as a code span that stays one, in a table too."""
    plain = " ".join(str(text).split()).replace("`", "'").replace("|", "¦")
    return f"`{plain}`" if plain else ""


def _about(facts: Mapping[str, Any]) -> list[str]:
    member = facts["member"]
    how = "compressed" if facts["configuration"] else "not compressed"
    return [
        f"The network of the task {code(facts['task'])}, {how} by parefront: trial {member['trial']} of the run "
        f"{code(member['run'])} ({code(member['training'])} training; {code(member['origin'])}).",
        f"- Format: {code(facts['format'])}, checked in {code(facts['runtime'])}\n"
        f"- Licence: {'not stated' if facts['license'] == 'not stated' else code(facts['license'])}\n"
        f"- Configuration: {', '.join(code(line) for line in facts['summary'])}",
    ]


def _scores(facts: Mapping[str, Any]) -> list[str]:
    mine, baseline = facts["scores"], facts["baseline"]
    rows = [
        (_NAMES.get(name, code(name)), _word(score), _word(baseline.get(name)), _gain(score, baseline.get(name)))
        for name, score in sorted(mine.items(), key=lambda item: _position(item[0]))
    ]
    notes = [
        "In brackets the 95 % interval, where it was measured. The baseline is the uncompressed network of the front."
    ]
    if not facts["is_measured_file"]:
        notes.append(
            "Measured with the file that the search wrote for its runtime. This file holds the same network in another "
            "form and was not measured itself: its latency and size differ."
        )
    return [_table(("score", "this network", "baseline", "ratio"), rows), *notes]


def _done(facts: Mapping[str, Any]) -> list[str]:
    if not facts["layers"]:
        return ["Nothing: every layer is as it was."]
    return [_table(("layer", "now"), [(code(name), code(", ".join(done))) for name, done in facts["layers"].items()])]


def _hardware(hardware: Mapping[str, Any]) -> list[str]:
    profile, machine = hardware["profile"], hardware["machine"]
    others = {"measured too on": ", ".join(hardware["others"])} if hardware["others"] else {}
    words = {name: ", ".join(map(str, each)) if isinstance(each, list) else each for name, each in machine.items()}
    runtime = ", ".join(f"{name} {each}" for name, each in profile.get("runtime", {}).items())
    words["runtime version"] = words.pop("runtime", "")
    told = {**profile, "runtime": runtime, **others, **words, "fingerprint": hardware["machine_key"]}
    return [_list(told)]


def _check(facts: Mapping[str, Any]) -> list[str]:
    parity = facts["parity"]
    classes = ""
    if parity["n_clear_classes"] is not None:
        classes = f"; same class on {parity['n_same_classes']} of {parity['n_clear_classes']} clear ones"
    files = [(code(name), word_bytes(each["bytes"]), code(each["sha256"])) for name, each in facts["files"].items()]
    return [
        f"Loaded again and run on {parity['n_probes']} stored inputs: the outputs differ from those of "
        f"{parity['expected_from']} by {parity['error']:.2g} of their deviation ({parity['tolerance']:g} allowed)"
        f"{classes}.",
        f"`parefront verify` with the path of {code(facts['name'])} checks this again anywhere. It needs these files:",
        _table(("file", "size", "SHA-256"), files),
    ]


def _position(name: str) -> tuple[int, str]:
    known = list(_NAMES)
    return (known.index(name) if name in known else len(known), name)


def _word(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return _NOT_MEASURED
    if score["unit"] == "bytes":
        return word_bytes(score["value"])
    if score["unit"] == "MACs":
        return f"{score['value']:,.0f}"
    if score["unit"] not in _DIGITS:
        return f"{score['value']:.3g}"
    return word_score(Score(**score), _DIGITS[score["unit"]])


def _gain(mine: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    """How many times less, of what is better when lower and never negative."""
    if baseline is None or mine["is_higher_better"] or mine["unit"] in ("pt", "") or mine["value"] <= 0:
        return ""
    return f"{word_ratio(baseline['value'] / mine['value'])} less"


def _list(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {code(value)}" for name, value in facts.items() if str(value))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
