"""Texts that are longer than training reads are counted, and the longest is named."""

from jobs.finetune.cut_texts import count_cut


def test_texts_of_more_tokens_than_are_learned_are_counted_and_the_longest_is_named(tiny_world, caplog):
    texts = [("a", "a red square"), ("b", "xyz " * 10), ("c", "xyz " * 20)]
    assert count_cut(texts, language_model=str(tiny_world.lm), most=16, option="--max-tokens") == 2
    assert "2 of 3 texts are longer than the 16 tokens of --max-tokens" in caplog.text
    assert "that of c has" in caplog.text


def test_nothing_is_said_where_all_are_read_to_their_end(tiny_world, caplog):
    assert count_cut([("a", "a red square")], language_model=str(tiny_world.lm), most=16, option="--max-tokens") == 0
    assert not caplog.records
