import threading

import pytest

from parefront.search.memory_guard import MemoryExceededError, MemoryGuard, _resident_bytes


def test_work_is_done_and_fails_as_it_would_without_a_guard() -> None:
    guard = MemoryGuard(10**15)
    assert guard.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        guard.run(lambda: 1 / 0)
    # What libraries keep by thread is the same for all work.
    assert len({guard.run(threading.get_ident) for _ in range(3)}) == 1


def test_who_takes_more_than_was_asked_for_is_told_so_while_it_works() -> None:
    taken, is_over = iter((1_000_000_000, 1_900_000_000, 2_100_000_000)), threading.Event()
    guard = MemoryGuard(2_000_000_000, lambda: next(taken))
    with pytest.raises(MemoryExceededError, match=r"may take the 2 GB of memory .* but took 2\.1 GB: raise resources"):
        guard.run(lambda: is_over.wait(20))
    is_over.set()


def test_the_memory_of_this_process_is_some() -> None:
    assert 10**7 < _resident_bytes() < 10**11
