"""A real search over two nodes, in network namespaces where they are permitted, else on the loopback address."""

import json
import time
from pathlib import Path

import pytest

from benchmarks.cluster_nodes import (
    HARDWARE,
    N_FINALS,
    N_SHORTS,
    N_TRIALS,
    TASK,
    TwoNodes,
    kill_worker,
    report,
    searched,
    wait_for_networks,
)
from parefront.search import State, read_trials


@pytest.mark.nodes
def test_a_search_spans_two_nodes_and_outlives_a_worker_on_the_other_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "run"
    with TwoNodes(HARDWARE) as nodes:
        with capsys.disabled():
            print(f" [two nodes on {nodes.kind}]", end="")
        begun = time.monotonic()
        search = searched(nodes, TASK, out)
        request.addfinalizer(search.kill)
        assert wait_for_networks(search, out, 2), search.communicate()[0]
        # Whoever measures does so beside the device.
        relays = {name: sum("Relay" in title for title in nodes.pids(name).values()) for name in ("first", "second")}
        assert relays["second"] == 3  # of the search itself and of each worker
        if nodes.kind == "namespaces":
            assert relays["first"] == 0
        assert kill_worker(nodes)
        told = search.communicate(timeout=300)[0]
        assert search.returncode == 0, told
        found = report(nodes.kind, "worker", out, time.monotonic() - begun)
    assert (found["lost"], found["doubled"], found["n_failed"]) == (0, 0, 0), told
    assert found["n_trials"] == 2 + N_TRIALS + N_SHORTS + N_FINALS
    assert found["n_workers_died"] == 1
    complete = [trial for trial in read_trials(out / "journal.log") if trial.state is State.COMPLETE]
    assert all((out / "artefacts" / trial.artefact).is_file() for trial in complete if trial.artefact)
    assert json.loads((out / "run.json").read_text())["status"] == "finished"
