import subprocess
import sys

from parefront.hardware_profiles.meter_worker import Worker, _burst


class CountingSession:
    """A session that only counts its runs."""

    def __init__(self) -> None:
        self.n_runs = 0

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return (None, 3)

    def run(self, inputs: object) -> None:
        self.n_runs += 1


def test_a_burst_lasts_as_long_as_asked_and_discards_the_first_run() -> None:
    session = CountingSession()
    runs_ms = _burst(session, None, 5.0)  # type: ignore[arg-type]

    assert session.n_runs == len(runs_ms) + 1
    assert sum(runs_ms) >= 5.0


def test_a_burst_has_at_least_five_runs() -> None:
    assert len(_burst(CountingSession(), None, 0.0)) == 5  # type: ignore[arg-type]


def test_requests_of_another_version_or_type_are_refused() -> None:
    for request in ({"type": "end", "protocol": 2}, {"type": "explode", "protocol": 1}, {}):
        answer = Worker().handle(request)
        assert answer["ok"] is False
        assert "must have protocol 1" in answer["error"]
    assert Worker().handle({"type": "end", "protocol": 1}) == {"protocol": 1, "ok": True}


def test_an_unexpected_error_is_an_answer_with_its_class() -> None:
    answer = Worker().handle({"type": "bursts", "order": ["x"], "protocol": 1})

    assert (answer["ok"], answer["error"]) == (False, "KeyError: 'x'")


def test_the_process_ends_when_its_input_does() -> None:
    command = (sys.executable, "-m", "parefront.hardware_profiles.meter_worker")
    ended = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=30)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
