"""Load, kills and swaps in a small form, on the app of the tests: nothing is wrong, nobody else is harmed."""

import os

import pytest

from tests.benchmarks import chaos, load, swap
from tests.benchmarks.common.asking import Answer
from tests.benchmarks.common.same_reply import Comparison, Token, compare, compare_products


def test_a_small_load_brings_nothing_wrong_and_says_what_it_promises(served_url: str):
    figures = load.main(load.Args(clients=6, seconds=6, prompts=6, tokens=6, url=served_url, pid=os.getpid()))
    assert figures["wrong"] == 0
    assert figures["requests"] > 6
    assert figures["compared_tokens"] > 6
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

    assert [swap.is_mixed(answer("openmoji", old)), swap.is_mixed(answer("second", new, new))] == [False, False]
    assert swap.is_mixed(answer("second", new, old))
    assert swap.is_mixed(answer("openmoji", new))


def test_a_reply_may_part_from_what_it_was_alone_at_a_near_tie_alone():
    def token(data: bytes, *near: bytes) -> Token:
        return Token(data, frozenset((data, *near)))

    alone = [token(b"A"), token(b" red", b" blue"), token(b" hat")]
    assert compare(alone, alone) == Comparison(3)
    assert compare([token(b"A"), token(b" blue"), token(b" cap")], alone) == Comparison(1, parted=True)
    wrong = compare([token(b"A"), token(b" red"), token(b" cap")], alone)
    assert (wrong.tokens, bool(wrong.wrong)) == (2, True)
    assert compare(alone[:2], alone) == Comparison(2)


def test_products_may_change_places_where_they_are_nearly_as_near_alone():
    def products(*scores: tuple[str, float]) -> list[dict]:
        return [{"id": id, "score": score} for id, score in scores]

    alone = products(("a", 0.9), ("b", 0.7), ("c", 0.695))
    assert not compare_products(products(("a", 0.9), ("c", 0.7), ("b", 0.695)), alone)
    assert compare_products(products(("b", 0.7), ("a", 0.9), ("c", 0.695)), alone)
    assert compare_products(alone[:2], alone)
