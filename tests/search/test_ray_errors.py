import ray

from parefront.search.ray_errors import what_happened


def test_what_happened_is_told_without_the_facts_and_guesses_of_ray() -> None:
    error = RuntimeError(
        "The \x1b[36mactor\x1b[39m died.\n\tclass_name: Worker\n\tpid: 7\nEnd of file. Some common causes include: (1)"
    )
    assert what_happened(error) == "The actor died. End of file."
    assert what_happened(RuntimeError()) == "RuntimeError"


def test_a_worker_that_took_too_much_memory_is_told_in_words() -> None:
    error = ray.exceptions.OutOfMemoryError(
        "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 10.0.0.2, ID: 9) was "
        "7.64GB used / 23.54GB limit (0.324540)\nOOM kill reason: ..."
    )
    assert what_happened(error) == (
        "OutOfMemoryError: its machine ran out of memory (7.64GB used / 23.54GB limit), and Ray ended it: use fewer "
        "workers"
    )
    killed = RuntimeError("Worker unexpectedly exits with a connection error code 2. End of file. Some common causes")
    assert what_happened(killed).startswith("its process ended without a word: it crashed or was killed")
