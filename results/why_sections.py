"""The sections of the report that explain: why each member was proposed, and which decisions matter."""

from __future__ import annotations

from collections.abc import Sequence

from ..search.objectives import Objectives
from ..search.trial import Trial
from .goal_words import gains
from .importance import ObjectiveImportance
from .lineage import lineage
from .load import Run
from .markup import Html, definitions, element, join

MAX_TECHNIQUES = 4


def why_list(run: Run) -> Html:
    """The compressed members of the front, each with the chain that led to it."""
    members = [trial for trial in run.front if trial.configuration]
    if not members:
        return element("p", "The front has no compressed network yet.", "note")
    return element(
        "div",
        definitions({_title(trial, run.baseline, run.objectives): _reason(trial, run) for trial in members}),
        "why",
    )


def importance_charts(importances: Sequence[ObjectiveImportance], figures: Sequence[Html]) -> Html:
    """Beside each other where the page is wide: per objective a heading, what it rests on, and its bars.

    Args:
        importances: Per objective.
        figures: Of each, drawn; only those are shown that have bars.
    """
    parts = [_chart(each, figure) for each, figure in zip(importances, figures, strict=True)]
    return element("div", join(parts), "columns charts")


def objective_title(name: str) -> str:
    """`latency@board` as a heading: `Latency on board`."""
    quantity, _, profile = name.partition("@")
    title = "MACs" if quantity == "macs" else quantity.capitalize()
    return f"{title} on {profile}" if profile else title


def _chart(each: ObjectiveImportance, figure: Html) -> Html:
    heading = element("h3", objective_title(each.objective))
    if each.reason:
        return element("div", join([heading, element("p", f"Nothing can be said: {each.reason}.", "note")]))
    techniques = [f"{name} {share:.0%}" for name, share in list(each.by_technique.items())[:MAX_TECHNIQUES]]
    rests_on = f"{', '.join(techniques)}. They predict {each.explained:.0%} of how {each.n_trials} trials differ."
    return element("div", join([heading, element("p", rests_on, "note"), figure]))


def _title(trial: Trial, baseline: Trial, objectives: Objectives) -> str:
    lost = f"{trial.value('accuracy_drop'):.1f} pt lost"
    return " · ".join([f"#{trial.number}", lost, *gains(trial, baseline, objectives)])


def _reason(trial: Trial, run: Run) -> Html:
    found = lineage(trial, run.trials, run.sites)
    text = found.text[:1].upper() + found.text[1:]
    changed = found.changes_text
    return join([text, element("small", f"What changed {changed}") if changed else ""])
