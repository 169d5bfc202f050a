"""The commands about hardware profiles: list, show, detect, check, schema. Thin, as in `main`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Hardware, complete_profile
from .output import AsCsv, AsJson, check_formats, print_json, print_rows

EXIT_NOISY = 3
"""`check`: a difference of 3 % cannot be told apart now."""

hardware_app = typer.Typer(help="Hardware profiles: what networks are measured on.", no_args_is_help=True)


@hardware_app.command("list")
def hardware_list(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the shipped profiles, and what is missing here for each."""
    from .hardware_tables import list_records, print_profiles

    check_formats(as_json=as_json, as_csv=as_csv)
    if as_json:
        print_json(list_records())
    elif as_csv:
        print_rows(list_records())
    else:
        print_profiles(list_records())


@hardware_app.command("show")
def hardware_show(
    profile: Annotated[
        str, typer.Argument(metavar="HW", help="A profile's name, or a file.", autocompletion=complete_profile)
    ],
) -> None:
    """Print a profile in full, as YAML, with whatever it extends put in."""
    import yaml

    from ..hardware_profiles import load_profile

    typer.echo(yaml.safe_dump(load_profile(profile).model_dump(mode="json"), sort_keys=False).rstrip())


@hardware_app.command("detect")
def hardware_detect(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a profile for this machine here.")] = None,
    runtime: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the profile is for.", show_default="the fastest")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of one inference.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Try out this machine: runtimes, precisions that really run faster, channel grid. About a minute."""
    from datetime import date

    from ..hardware_profiles.detection.detect import detect
    from ..hardware_profiles.detection.detected_profile import check_target, detection_json, profile_of, write_profile
    from .hardware_tables import print_detection
    from .progress import open_display

    if out is not None:
        check_target(out)
    with open_display("trying out this machine") as display:
        detection = detect(display.on_progress, runtime=runtime, threads=threads)
    profile = profile_of(detection, "this-machine") if out is None else write_profile(detection, out, date.today())
    if as_json:
        typer.echo(detection_json(detection, profile))
        return
    print_detection(detection, profile, out)


@hardware_app.command("check")
def hardware_check(
    hardware: Hardware = "cpu-ort-1t",
    seconds: Annotated[float, typer.Option(help="How long to measure.")] = 20.0,
    as_json: AsJson = False,
) -> None:
    """Say which differences of latency can be told apart now, and what disturbs. Exit status 3 where not even 3 %."""
    from ..hardware_profiles import load_profile
    from ..hardware_profiles.detection.noise import check_noise
    from .noise_tables import print_noise
    from .progress import open_display

    profile = load_profile(hardware)
    with open_display(f"checking {profile.name}") as display:
        report = check_noise(profile, seconds, display.on_progress)
    if as_json:
        print_json(report.to_json())
    else:
        print_noise(report, profile)
    if not report.is_quiet:
        raise typer.Exit(EXIT_NOISY)


@hardware_app.command("schema")
def hardware_schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it here instead of printing it.")] = None,
) -> None:
    """Print the JSON schema of profile files, for editors that complete and check YAML."""
    from ..hardware_profiles.editor_schema import schema_text

    if out is None:
        typer.echo(schema_text(), nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(schema_text(), encoding="utf-8")
    typer.echo(f"Written: {out}. At the top of a profile: # yaml-language-server: $schema={out}")
