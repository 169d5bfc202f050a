import json
from pathlib import Path

import pytest

from parefront.results.card_text import card_text, code


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("stage1.0", "`stage1.0`"),
        ("a`b", "`a'b`"),
        ("<script>alert(1)</script>", "`<script>alert(1)</script>`"),
        ("one\n# two", "`one # two`"),
        ("a|b", "`a¦b`"),
        ("", ""),
    ],
)
def test_foreign_text_stays_text(text: str, span: str) -> None:
    assert code(text) == span


def test_the_card_reads_well(exported: Path) -> None:
    facts = json.loads((exported / "model.onnx.card.json").read_text())
    text = (exported / "model.onnx.card.md").read_text()
    assert text == card_text(facts)
    assert text.startswith("# `model.onnx`\n\nThe network of the task `tiny`, compressed by parefront: trial ")
    accuracy = facts["scores"]["accuracy"]
    cells = f"{accuracy['value']:.2f} [{accuracy['low']:.2f}, {accuracy['high']:.2f}]"
    assert f"| accuracy, validation (%) | {cells} | " in text
    assert "- Licence: `CC0-1.0`\n" in text
    assert "was not measured itself" not in text
    assert "was not measured itself" in (exported / "model.xml.card.md").read_text()
    assert f"`{facts['files']['model.onnx']['sha256']}`" in text


def test_nothing_foreign_becomes_markup(exported: Path) -> None:
    evil = "x` <img src=x onerror=alert(1)>\n\n# Owned | [a](b)"
    facts = json.loads((exported / "model.onnx.card.json").read_text())
    facts |= {"task": evil, "license": evil, "layers": {evil: [evil]}, "summary": [evil], "versions": {"torch": evil}}
    facts["member"] |= {"origin": evil, "run": evil}
    lines = card_text(facts).splitlines()
    assert not any(line.startswith("# Owned") for line in lines)
    # Outside of code spans nothing of it is left.
    assert not any("onerror" in part for line in lines for part in line.split("`")[::2])
