"""A sweep's file: what it may hold, and what is said of what it may not."""

from pathlib import Path

import pytest

from parefront.cli.sweep_file import check_submittable, read_sweep
from parefront.hardware_profiles import SearchError

TESTS = Path(__file__).parent.parent
TASK, PROFILE = TESTS / "tiny_task.py", TESTS / "fast.yaml"
BASE = f"tasks: [{TASK}]\nhardware: [{PROFILE}]\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    text = (
        f"tasks: ['{TASK}', digits]\nhardware:\n  - {PROFILE}\n  - [cpu-ort-1t, {PROFILE}]\nseeds: [4, 7]\n"
        "settings:\n  - name: ours\n  - name: short\n    trials: 5\n    shorts: 2\n"
        f"common: {{trials: 20, finals: 3, stored_tables: no, constraint: size<=2MB}}\nout: {tmp_path / 'out'}\n"
        "concurrency: 3\nretries: 0\ncpus: 2\n"
    )
    plan, out = read_sweep(write(tmp_path, text))
    assert out == tmp_path / "out"
    assert (plan.concurrency, plan.retries, len(plan.searches)) == (3, 0, 16)
    first, second = plan.searches[:2]
    assert [first.name, second.name] == ["tiny.fast.ours.s4", "tiny.fast.short.s4"]
    assert (first.n_trials, first.n_finals, second.n_trials, second.n_finals) == (20, 3, 5, 3)
    # 256 samples for each short fine-tune, 512 for each full one, the baseline's among them: see tiny_task.py.
    assert (first.n_samples, second.n_samples) == (20 * 256 + 4 * 512, 2 * 256 + 4 * 512)
    assert (first.n_cpus, first.devices) == (2, ("fast",))
    assert first.flags["stored-tables"] == "no"
    assert second.flags["constraint"] == ["size<=2MB"]
    assert plan.searches[2].devices == ("cpu-ort-1t", "fast")


def test_what_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan, out = read_sweep(write(tmp_path, BASE))
    assert out == tmp_path / "runs" / "sweep"
    assert [each.name for each in plan.searches] == ["tiny.fast.default.s0"]
    assert (plan.concurrency, plan.retries, plan.directory) == (1, 2, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks", r"a sweep must be a mapping with the keys tasks, hardware, "),
        ("taks: [digits]", r"unknown key 'taks': known keys are tasks, "),
        ("hardware: [cpu-ort-1t]", r"tasks must have at least one item, got none: write `tasks: \[...\]`"),
        ("tasks: digits\nhardware: [cpu-ort-1t]", r"tasks must be a list, got 'digits'"),
        ("tasks: [digit]\nhardware: [cpu-ort-1t]", r"unknown task 'digit'"),
        (f"tasks: [{TASK}]\nhardware: [cpu-ort-1]", r"unknown profile 'cpu-ort-1'"),
        (f"tasks: [{TASK}, {TASK}]\nhardware: [cpu-ort-1t]", r"tasks must be a list of different values"),
        (
            f"tasks: [{TASK}, '{TASK}:hasty']\nhardware: [cpu-ort-1t]",
            r"tasks must differ in name, but two are called ti",
        ),
        (f"{BASE}seeds: [a]", r"seeds must be a whole number, got 'a'"),
        (f"{BASE}concurrency: 0", r"concurrency of a sweep must be 1 or more, got 0"),
        (f"{BASE}settings: [{{trials: 5}}]", r"settings must each have a name, but number 1 has none"),
        (f"{BASE}settings: [{{name: a}}, {{name: a}}]", r"settings must differ in name, but two are called a"),
        (f"{BASE}settings: [{{name: a, trial: 5}}]", r"sweep.yaml: a: unknown flag 'trial': the closest of "),
        (f"{BASE}common: {{workers: 2}}", r"common: workers must be left out: a sweep gives"),
        (f"{BASE}common: {{seed: 2}}", r"common: seed must be left out"),
        (f"{BASE}common: [a]", r"common must hold `flag: value` lines"),
        (f"{BASE}common: {{trials: many}}", r"tiny.fast.default.s0: Invalid value for '--trials'"),
        (f"{BASE}common: {{max_time: 5}}", r"tiny.fast.default.s0: a duration must be a number above 0 and its unit"),
        (f"{BASE}common: {{sampler: tpee}}", r"tiny.fast.default.s0: unknown sampler 'tpee'"),
        (
            BASE + "common: {storage: 'postgresql://me:secret@host/sweeps'}",
            r"storage must be an address without a password, as it is written into each search's files: set PGPASSWORD",
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SearchError, match=message) as raised:
        read_sweep(write(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"a sweep must be a readable YAML file, got .*No such file"):
        read_sweep(tmp_path / "none.yaml")


def test_what_can_be_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_submittable(write(tmp_path, f"{BASE}out: /shared/sweep\n"))
    with pytest.raises(
        SearchError, match=r"must be an absolute path that all nodes of the cluster share, got 'runs/x'"
    ):
        check_submittable(write(tmp_path, f"{BASE}out: runs/x\n"))
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    with pytest.raises(SearchError, match="must lie in the directory that is uploaded"):
        check_submittable(tmp_path / "sweep.yaml")
