"""What else computes in the LM's process leaves no thread behind that decoding would have to share its cores with."""

import asyncio
import threading
import time

import psutil
import pytest
import torch

from services.deployments.passing import in_passing_thread, to_passing_thread

TOGETHER = 2
LARGE = 512
PATIENCE_S = 20


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(TOGETHER)
    yield
    torch.set_num_threads(before)


def product() -> float:
    """Enough for torch to share it among its threads."""
    ones = torch.ones(LARGE, LARGE)
    return float((ones @ ones)[0, 0])


def native_threads() -> int:
    return psutil.Process().num_threads()


def wait_for(threads: int) -> None:
    """They end soon after the thread that they helped."""
    end_s = time.monotonic() + PATIENCE_S
    while native_threads() != threads:
        assert time.monotonic() < end_s, f"{native_threads()} threads are left, {threads} expected"
        time.sleep(0.01)


def in_a_thread_that_stays() -> threading.Event:
    """As an executor's thread would: it has computed, and waits -> what lets it go."""
    done, go = threading.Event(), threading.Event()

    def work() -> None:
        product()
        done.set()
        go.wait()

    threading.Thread(target=work).start()
    done.wait()
    return go


def test_openmp_s_threads_of_a_passing_thread_end_with_it(two_threads):
    before = native_threads()
    assert in_passing_thread(product) == LARGE
    wait_for(before)
    go = in_a_thread_that_stays()
    wait_for(before + TOGETHER)
    go.set()


async def outcome(work, *given):
    return await to_passing_thread(work, *given)


def test_what_is_awaited_comes_back_and_its_thread_is_another_each_time():
    async def both():
        return await outcome(threading.get_ident), await outcome(threading.get_ident), await outcome(max, 2, 3)

    first, second, most = asyncio.run(both())
    assert most == 3
    assert threading.get_ident() not in (first, second)


def test_what_goes_wrong_is_raised_where_it_is_waited_for():
    with pytest.raises(ValueError, match="invalid literal"):
        in_passing_thread(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(outcome(int, "x"))
