"""Load, kills and swaps in a small form, on the app of the tests: nothing is wrong, nobody else is harmed."""

import os

import pytest

from tests.benchmarks import chaos, load, swap
from tests.benchmarks.common.asking import Answer


def test_a_small_load_brings_nothing_wrong_and_says_what_it_promises(served_url: str):
    figures = load.main(load.Args(clients=6, seconds=6, prompts=6, tokens=6, url=served_url, pid=os.getpid()))
    assert figures["wrong"] == 0
    assert figures["requests"] > 6
    assert set(figures["refused"]) <= {"429", "503"}
    assert {"rss_growth", "p50_first_token_s", "p99_first_token_s"} < figures.keys()


def test_swaps_under_load_fail_no_reply_and_mix_none(served_url: str):
    figures = swap.main(swap.Args(clients=3, swaps=2, pause_s=2, tokens=6, url=served_url))
    assert (figures["failed"], figures["mixed"], figures["bad_pairs_refused"]) == (0, 0, 2)
    assert figures["requests"] > 3


@pytest.mark.parametrize("deployment", ["encoder", "llm", "retrieval", "chat"])
def test_a_replica_that_is_killed_under_load_harms_no_other_reply_and_is_replaced(served_url: str, deployment: str):
    args = chaos.Args(streams=2, tokens=40, deployments=(deployment,), url=served_url, pid=os.getpid(), app="chat")
    figures = chaos.main(args)
    assert (figures["kills"], figures["others_harmed"]) == (1, 0)
    assert figures["cut"] == 0
    assert figures["normal_s"][deployment] > 0


def test_memory_that_grows_after_the_warm_up_is_noticed_and_what_came_before_is_not():
    steady, leaking = (1, "llm"), (2, "chat")
    samples = [(float(at), {steady: 1000 if at > 3 else 10, leaking: 1000 + 10 * at}) for at in range(20)]
    growth = load.memory_growth(samples, after_s=4)
    assert growth[steady] == 0
    assert growth[leaking] > 0.1


def test_a_reply_is_mixed_when_its_products_are_not_all_of_its_bundle_s_index():
    old, new = {"id": "1", "caption": "hat"}, {"id": "1", "caption": f"{swap.CAPTION}hat"}

    def answer(model: str, *products: dict) -> Answer:
        return Answer(0.0, model=model, products=list(products))

    assert [swap.is_mixed(answer("default", old)), swap.is_mixed(answer("second", new, new))] == [False, False]
    assert swap.is_mixed(answer("second", new, old))
    assert swap.is_mixed(answer("default", new))


def test_only_a_reply_without_a_near_tie_is_compared():
    assert load.is_sure(Answer(0.0, margin=0.5, reason="length"))
    assert not load.is_sure(Answer(0.0, margin=0.1, reason="length"))
    assert not load.is_sure(Answer(0.0, margin=0.5, reason="stop"))
