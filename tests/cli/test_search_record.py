from typing import Any

import typer

from parefront.cli.main import app
from parefront.hardware_profiles import HardwareProfile
from parefront.search.asked import asked_facts
from parefront.search.settings import SearchSettings
from parefront.tasks import Task

NO_SETTINGS = {"out", "config", "help", "verbose", "dry-run"}
"""They say where, and what is shown."""
BESIDE = {"storage", "artefacts"}
"""The manifest names these addresses itself, without their passwords."""


def test_every_flag_of_a_search_stands_in_its_manifest(tiny_task: Task, fast_profile: HardwareProfile) -> None:
    command: Any = typer.main.get_command(app)
    flags = {name for each in command.commands["search"].params for name in each.opts}
    names = {name.removeprefix("--").replace("_", "-") for name in flags if not name.startswith("-") or name[1] == "-"}
    asked = asked_facts(tiny_task, [fast_profile], SearchSettings(n_trials=1), None)["asked"]
    assert names - NO_SETTINGS - BESIDE == set(asked)
