"""The options of the command `search` that no other command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Trials = Annotated[int, typer.Option(min=0, help="Candidates to evaluate; failed and closed ones count.")]
Finals = Annotated[int, typer.Option(min=0, help="Members of the front that get the full fine-tune.")]
Out = Annotated[Path | None, typer.Option(help="Run directory; an existing run goes on.", show_default="runs/TASK")]
Seed = Annotated[int, typer.Option(help="Of proposals and training.")]
Sampler = Annotated[
    str,
    typer.Option(help="tables (ours), random, or Optuna's nsga2, nsga3, tpe (multivariate), tpe-univariate or gp."),
]
Shorts = Annotated[
    int | None,
    typer.Option(
        min=0, help="Candidates that get the short fine-tune, by what they reach untrained.", show_default="all"
    ),
]
Promotion = Annotated[
    str, typer.Option(help="Who gets the full fine-tune: aimed at drops of 0.5 to 5 points, or by rank.")
]
Objectives = Annotated[
    list[str] | None,
    typer.Option(
        "--objective",
        metavar="NAME",
        help="accuracy, latency, size, macs, memory or energy, at least two; @PROFILE after one for a further "
        "--hardware. Repeatable, or with commas.",
        show_default="accuracy,latency,size",
    ),
]
MaxTime = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Wall time of the whole run, its final members included: 90s, 15min, 2h."),
]
MaxCpu = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Processor time of the whole run, likewise; time on a GPU does not count."),
]
Patience = Annotated[
    int | None,
    typer.Option(min=1, help="End the search after so many candidates without a gain in hypervolume above 0.1%."),
]
Remeasure = Annotated[
    int,
    typer.Option(min=0, help="Trials that may be measured again where the front turns on an unsure difference."),
]
Earlier = Annotated[
    Path | None,
    typer.Option("--from", metavar="RUN", help="Begin from the trials of an earlier run of the same task."),
]
TableTime = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="What measuring single choices' effects on the outputs may take before the search; the others are "
        "estimated. Kept for later searches.",
    ),
]
StoredTables = Annotated[
    bool,
    typer.Option(
        "--stored-tables/--no-stored-tables",
        help="Begin with operator times and effects of choices that earlier searches measured, or with none.",
    ),
]
Inherit = Annotated[
    str,
    typer.Option(
        metavar="none|weights|segment",
        help="What short fine-tunes take over from the most similar trial: nothing; its weights; its weights, "
        "training only the layers that differ.",
    ),
]
NWorkers = Annotated[
    int,
    typer.Option(
        "--workers", min=0, help="Candidates evaluated side by side, each in a process of its own; 0: in this one."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="A Ray cluster that this machine belongs to, for the workers.",
        show_default="a Ray of its own",
    ),
]
TrialTimeout = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="With workers: a stage of a trial that takes longer fails.", show_default="no limit"
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="PostgreSQL database for the trials: postgresql://USER@HOST/DATABASE; the password from PGPASSWORD.",
        show_default="journal.log in the run directory",
    ),
]
Artefacts = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where the trials' files are copied to: a shared directory, or an address that fsspec knows.",
        show_default="nowhere",
    ),
]
IsVerbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show all that goes into the run's log.jsonl.")]
IsDryRun = Annotated[bool, typer.Option("--dry-run", help="Check all that is asked, print it, and start nothing.")]
