"""The sections of the report that are figures, each closed until somebody opens it."""

from __future__ import annotations

from ..search.objectives import MAX_RATIO
from . import why_sections
from .comparison_data import compare_profiles
from .figures import draw_front, draw_hypervolume, draw_hypervolume_over_time, front_data, hypervolume_data
from .goal_words import costs, word_box
from .importance import importances
from .importance_figure import draw_importance, importance_data
from .load import Run
from .markup import Html, as_html, element, join
from .page import figure_slot
from .report_sections import front_label

_MIN_WIDTHS = {"network": 700, "parallel": 640, "sensitivity": 900}
"""Of figures that are unreadable on a phone otherwise."""


def captioned(name: str, slot: Html, caption: object) -> Html:
    """A figure with the words below it; one that may be wider than the page can be scrolled by keys."""
    scrolls = ' tabindex="0"' if name in _MIN_WIDTHS else ""
    return Html(f'<figure id="{as_html(name)}-box"{scrolls}>{slot}{element("figcaption", caption)}</figure>')


def run_figure(run: Run, name: str, label: str, caption: str) -> Html:
    """One of the run's figures by name."""
    slot = figure_slot(run.figures[name], f"{name}-figure", label, _MIN_WIDTHS.get(name, 0))
    return captioned(name, slot, caption)


def further_fronts(run: Run) -> Html:
    """A picture for each objective that the first one has no room for: accuracy, the main cost and a second one."""
    found = []
    for position, axis in enumerate(costs(run.objectives)[2:], 2):
        data = front_data(run.trials, run.goals, axis)
        name, label = f"front-figure-{position}", front_label(data)
        found.append(captioned(name, figure_slot(draw_front(data, height=380), name, label), label))
    return join(found)


def decisions(run: Run) -> Html:
    """What the members do: as a grid, as lines over all sites, and the pick's network before and after."""
    return join(
        [
            run_figure(
                run,
                "decisions",
                "Decisions per layer of each member of the front",
                "The stronger the blue, the more is taken away; empty cells are unchanged. 48→24: channels kept "
                "of those before. spatial:24: low rank, by scheme and rank. folded: merged with its neighbour into one "
                "layer.",
            ),
            run_figure(
                run,
                "parallel",
                "How strong the choice of each trial is at each site",
                "One line per trial, through its choice at each site. In colour the front, the most accurate of it in "
                "vermillion.",
            ),
            *(
                [
                    run_figure(
                        run,
                        "network",
                        "The network before and after, with the time of each layer",
                        "The network that the headline names, input on top: outlined the channels before, filled those "
                        "after. Times are the runtime's own profile, brought to the measured latency.",
                    )
                ]
                if any(trial.configuration for trial in run.front)
                else []
            ),
        ]
    )


def importance(run: Run) -> Html:
    """Which decisions matter for each objective; what single choices do, where that is known."""
    found = importances(run.trials, run.sites, run.objectives)
    slots = [
        Html("")
        if each.reason
        else figure_slot(draw_importance(importance_data(each)), f"importance-{i}", f"Importance for {each.objective}")
        for i, each in enumerate(found)
    ]
    charts = why_sections.importance_charts(found, slots)
    sensitivity = run.figures["sensitivity"]
    if not sensitivity.data:
        return charts
    label = "What each choice alone does to the outputs"
    caption = (
        "Each choice alone, without training, estimated and in part measured: the stronger the blue (a square root), "
        "the more the outputs change."
    )
    slot = figure_slot(sensitivity, "sensitivity-figure", label, _MIN_WIDTHS["sensitivity"])
    return join([charts, captioned("sensitivity", slot, caption)])


def growth(run: Run) -> Html:
    """The hypervolume over the trials and over time."""
    caption = (
        "The hypervolume says in one number how good the whole front is: its share of a box that reaches from the "
        f"baseline to {word_box(run.objectives, MAX_RATIO)}. Networks of different training are not compared."
    )
    data = hypervolume_data(run.trials, run.goals)  # once for both: of a long run it takes a second
    trials = figure_slot(draw_hypervolume(data), "hypervolume-figure", "Hypervolume over trials")
    time = figure_slot(draw_hypervolume_over_time(data), "hypervolume-time-figure", "Hypervolume over time")
    over_time = captioned("hypervolume-time", time, "The same over the wall time of the search.")
    return join([captioned("hypervolume", trials, caption), over_time])


def trust(run: Run) -> Html:
    """How good the predictions were that the search relied on."""
    predicted = " ".join(f"{line}." for line in (run.screening, run.foretold) if line) or "Nothing was predicted."
    ranked = f"{run.rungs}." if run.rungs else "No candidate was given more training."
    return join(
        [
            run_figure(run, "prediction", "Predicted against measured latency", predicted),
            run_figure(run, "fidelity", "Accuracy after little training against accuracy after more", ranked),
        ]
    )


def profiles(run: Run) -> Html:
    """The front on each hardware profile; a sentence where there is only one."""
    if not compare_profiles(run).fronts:
        return element("p", "This run measured on one hardware profile.", "note")
    caption = "Each line is the front of accuracy and the latency on that hardware profile alone."
    return run_figure(run, "profiles", "The front on each hardware profile", caption)
