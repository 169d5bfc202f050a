import pytest

from parefront.evaluators.evaluator import Score
from parefront.search.training_times import TrainingTimes
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration


def macs(value: float) -> dict[str, Score]:
    return {"macs": Score("macs", value, "MACs", False)}


def trained(number: int, found: dict[str, Score], seconds: float, fidelity: Fidelity = Fidelity.SHORT) -> Trial:
    return Trial(number, Configuration(), fidelity, State.COMPLETE, found, seconds={"train": seconds})


BASELINE = trained(0, macs(1e8), 60.0, Fidelity.FULL)


def test_nothing_is_expected_before_a_candidate_was_trained() -> None:
    closed = Trial(1, Configuration(), Fidelity.SHORT, State.DOMINATED, macs(1e6))
    assert TrainingTimes([BASELINE, closed]).expected_s(macs(1e6)) is None


def test_one_candidate_is_enough_for_a_guess() -> None:
    times = TrainingTimes([BASELINE, trained(1, macs(4e6), 10.0)])
    assert [times.expected_s(macs(size)) for size in (1e6, 4e6, 16e6)] == pytest.approx([5.0, 10.0, 20.0])


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_power_is_learnt(power: float) -> None:
    trials = [BASELINE, *(trained(k, macs(4.0**k * 1e5), 3 * 4 ** (power * k)) for k in range(1, 9))]
    expected = TrainingTimes(trials).expected_s(macs(4.0**6 * 1e5))
    assert expected == pytest.approx(3 * 4 ** (power * 6), rel=0.02)


def test_final_fine_tunes_take_longer_and_do_not_count() -> None:
    trials = [BASELINE, trained(1, macs(4e6), 10.0), trained(2, macs(4e6), 200.0, Fidelity.FULL)]
    assert TrainingTimes(trials).expected_s(macs(4e6)) == pytest.approx(10.0)


def test_without_macs_it_is_the_mean() -> None:
    trials = [BASELINE, trained(1, {}, 10.0), trained(2, macs(4e6), 20.0)]
    assert TrainingTimes(trials).expected_s(macs(1e6)) == TrainingTimes(trials).expected_s({}) == pytest.approx(15.0)


def test_the_record_may_grow() -> None:
    trials = [BASELINE, trained(1, macs(4e6), 10.0)]
    times = TrainingTimes(trials)
    trials.append(trained(2, macs(4e6), 40.0))
    assert times.expected_s(macs(4e6)) == pytest.approx(20.0)
