from importlib.metadata import version
from pathlib import Path

from parefront.hardware_profiles import HardwareProfile
from parefront.search.asked import asked_facts
from parefront.search.goals import parse_goals
from parefront.search.settings import SearchSettings
from parefront.search.stopping import Limits
from parefront.search.workers import Workers
from parefront.spaces import CompressionOptions
from parefront.tasks import Task


def test_what_was_said_and_what_nobody_said(tiny_task: Task, fast_profile: HardwareProfile) -> None:
    goals = parse_goals(["accuracy,size"], ["accuracy_drop<=1pt"], ["fast"])
    settings = SearchSettings(
        n_trials=7,
        goals=goals,
        limits=Limits(max_wall_s=5400.0),
        earlier=Path("runs/old"),
        options=CompressionOptions(has_cp=True, has_operators=True),
    )
    facts = asked_facts(tiny_task, [fast_profile], settings, None)
    asked = facts["asked"]
    said = {"task": "tiny", "hardware": ["fast"], "trials": 7, "objective": ["accuracy", "size"], "cp": True}
    said |= {"operators": True}
    said |= {"constraint": ["accuracy_drop<=1pt"], "max-time": "5400s", "from": "runs/old"}
    assert {name: asked[name] for name in said} == said
    unsaid = {"finals": 8, "seed": 0, "sampler": "tables", "max-cpu": None, "patience": None, "workers": 0}
    assert {name: asked[name] for name in unsaid} == unsaid
    assert facts["versions"]["torch"] == version("torch")


def test_what_was_asked_of_the_workers(tiny_task: Task, fast_profile: HardwareProfile) -> None:
    workers = Workers("my_task.py", 4, "auto", max_job_s=90.0)
    asked = asked_facts(tiny_task, [fast_profile], SearchSettings(n_trials=1), workers)["asked"]
    assert (asked["task"], asked["workers"], asked["address"], asked["trial-timeout"]) == (
        "my_task.py",
        4,
        "auto",
        "90s",
    )
