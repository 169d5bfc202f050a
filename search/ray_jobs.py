"""Submits a command to a cluster by Ray Jobs, and follows what it prints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from ..hardware_profiles.errors import SearchError

_PROBLEMS = (AuthenticationError, ConnectionError, OSError, RuntimeError, ValueError)
"""What Ray raises where a person can do something: no token, nobody there, another version, too large a folder."""
_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_NOT_UPLOADED = [".git", ".venv", "__pycache__", "runs"]


def open_client(address: str) -> JobSubmissionClient:
    """A connection to the job server of a cluster.

    Args:
        address: `http://HOST:8265`.

    Raises:
        SearchError: There is none at the address, or it cannot be used.
    """
    if not address.startswith(("http://", "https://")):
        raise SearchError(
            f"--address of a cluster's job server must be like http://HOST:8265, got {address!r}: correct it"
        )
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        return JobSubmissionClient(address)
    except AuthenticationError as error:
        raise SearchError(
            f"the job server at {address} wants its cluster's token: set RAY_AUTH_MODE=token, and have the token in "
            "RAY_AUTH_TOKEN or ~/.ray/auth_token"
        ) from error
    except _PROBLEMS as error:
        what = " ".join(str(error).split())[:300]
        raise SearchError(f"a job server of Ray must answer at {address}, but: {what}") from error


def submit(client: JobSubmissionClient, command: str, folder: Path) -> str:
    """Uploads a folder and has the cluster run a command in it.

    Args:
        client: Of the cluster.
        command: As typed in a shell.
        folder: What the command's relative paths refer to.

    Returns:
        The job's name on the cluster.

    Raises:
        SearchError: The folder is too large for an upload, or the cluster refuses the job.
    """
    try:
        environment = {"working_dir": str(folder), "excludes": _NOT_UPLOADED}
        return client.submit_job(entrypoint=command, runtime_env=environment)
    except _PROBLEMS as error:
        what = " ".join(str(error).split())[:300]
        raise SearchError(f"a cluster must take {folder} and `{command}`, but: {what}") from error


def follow(client: JobSubmissionClient, job: str, on_text: Callable[[str], None]) -> bool:
    """Passes on what a job prints until it ends; the job goes on where this is interrupted.

    Args:
        client: Of the cluster.
        job: Its name there.
        on_text: Gets the text, in pieces.

    Returns:
        Whether it succeeded.

    Raises:
        SearchError: The connection was lost; the job goes on.
    """

    async def tail() -> None:
        async for text in client.tail_job_logs(job):
            on_text(text)

    try:
        asyncio.run(tail())
        return client.get_job_status(job) is JobStatus.SUCCEEDED
    except _PROBLEMS as error:
        what = " ".join(str(error).split())[:300]
        raise SearchError(
            f"the job server must answer while {job} is followed, but: {what}; the job itself goes on"
        ) from error
