"""Submitting and following, with a client in the place of a cluster."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from parefront.hardware_profiles import SearchError
from parefront.search.ray_jobs import follow, open_client, submit


class Cluster:
    """Runs nothing; its job prints two pieces and ends."""

    def __init__(self, status: JobStatus, problem: Exception | None = None) -> None:
        self.status, self.problem = status, problem
        self.submitted: dict[str, Any] = {}

    def submit_job(self, **asked: Any) -> str:
        if self.problem is not None:
            raise self.problem
        self.submitted = asked
        return "job-1"

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        assert job == "job-1"
        yield "one\n"
        if self.problem is not None:
            raise self.problem
        yield "two\n"

    def get_job_status(self, job: str) -> JobStatus:
        return self.status


def as_client(cluster: Cluster) -> JobSubmissionClient:
    return cast(JobSubmissionClient, cluster)


def test_a_command_is_submitted_with_its_folder(tmp_path: Path) -> None:
    cluster = Cluster(JobStatus.PENDING)
    assert submit(as_client(cluster), "parefront sweep run a.yaml", tmp_path) == "job-1"
    assert cluster.submitted["entrypoint"] == "parefront sweep run a.yaml"
    assert cluster.submitted["runtime_env"]["working_dir"] == str(tmp_path)
    assert ".git" in cluster.submitted["runtime_env"]["excludes"]


@pytest.mark.parametrize(("status", "has_succeeded"), [(JobStatus.SUCCEEDED, True), (JobStatus.FAILED, False)])
def test_what_a_job_prints_is_passed_on(status: JobStatus, has_succeeded: bool) -> None:
    pieces: list[str] = []
    assert follow(as_client(Cluster(status)), "job-1", pieces.append) is has_succeeded
    assert pieces == ["one\n", "two\n"]


@pytest.mark.parametrize("problem", [RuntimeError("too\nlarge"), AuthenticationError("no token")])
def test_what_the_cluster_refuses_is_one_line(tmp_path: Path, problem: Exception) -> None:
    cluster = as_client(Cluster(JobStatus.FAILED, problem))
    with pytest.raises(SearchError, match=r"must take .*, but: (too large|no token)") as raised:
        submit(cluster, "parefront", tmp_path)
    assert "\n" not in str(raised.value)
    with pytest.raises(SearchError, match=r"while job-1 is followed, but: .*; the job itself goes on"):
        follow(cluster, "job-1", print)


def test_an_address_must_be_that_of_a_job_server() -> None:
    with pytest.raises(SearchError, match=r"must be like http://HOST:8265, got 'auto'"):
        open_client("auto")
