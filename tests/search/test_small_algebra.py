from threadpoolctl import threadpool_info

from parefront.search.small_algebra import on_one_thread


def n_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_linear_algebra_takes_one_thread_in_the_body_and_as_many_as_before_behind_it() -> None:
    with on_one_thread():  # the first time, the libraries are loaded
        pass
    before = n_threads()
    assert before
    with on_one_thread():
        assert set(n_threads()) == {1}
    assert n_threads() == before
