"""The messages: enough of both sides, parted by kind, said once, and none that the quality sets ask."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fromage_model.errors import InvalidInput
from jobs.common.showing import sayings as module
from jobs.common.showing.sayings import USES, Saying, remarks, sayings
from jobs.evaluate.sets.files import read_quality_set, shipped_sets
from jobs.finetune.examples import wording
from tests.jobs.evaluate.sets.test_files import messages_of, plain

EVERY = [*sayings(), *remarks()]


def test_there_are_three_hundred_of_each_side_and_enough_for_each_use():
    assert all(count >= 300 for count in Counter(one.wanted for one in EVERY).values())
    assert len(Counter(one.wanted for one in EVERY)) == 2
    counts = Counter((one.wanted, one.use) for one in EVERY)
    assert len(counts) == 6
    assert min(counts.values()) >= 80


def test_a_kind_serves_one_use_alone_and_has_ten_messages_or_more():
    uses: dict[tuple[bool, str], set[str]] = {}
    for one in EVERY:
        uses.setdefault((one.wanted, one.kind), set()).add(one.use)
    assert [kind for kind, some in uses.items() if len(some) > 1] == []
    assert min(Counter((one.wanted, one.kind) for one in EVERY).values()) >= 10


def test_remarks_call_for_nothing_and_are_single_messages_of_training():
    assert len(remarks()) >= 100
    assert {(one.wanted, one.use, len(one.turns)) for one in remarks()} == {(False, "training", 1)}


def test_nothing_is_said_twice():
    said = Counter(one.turns if len(one.turns) > 1 else one.text.casefold() for one in EVERY)
    assert [text for text, times in said.items() if times > 1] == []


def test_no_message_is_one_of_the_quality_sets():
    asked = {plain(text) for name in shipped_sets() for text in messages_of(read_quality_set(name))}
    own = {plain(one.text) for one in EVERY}
    # Of one or two words everybody says the same.
    assert {text for text in own & asked if len(text.split()) > 2} == set()


def test_no_held_out_message_stands_in_what_training_says():
    folder = Path(wording.__file__).parent
    text = "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".txt", ".toml"))
    lines = {plain(line) for line in (*text.splitlines(), *re.findall(r'"([^"\n]*)"', text))}
    held_out = {plain(one.text) for one in sayings("held-out") if len(one.text.split()) > 2}
    assert held_out & lines == set()


def test_a_conversation_is_read_as_a_chat_has_it():
    said = Saying(("a hat", "[RET] Here are hats.", "like this [picture] in red"), "k", "training", wanted=True)
    features = np.ones(3, dtype=np.float32)
    first, reply, last = said.messages(features)
    assert (first.role, first.text, reply.role, reply.text) == ("user", "a hat", "assistant", "Here are hats.")
    assert tuple(reply.ret_offsets) == (0,)
    assert (last.parts[0], last.parts[2]) == ("like this", "in red")
    assert last.parts[1] is features
    with pytest.raises(ValueError, match="expected a picture"):
        said.messages()
    without = Saying(("hi", "Hello!", "a hat"), "k", "training", wanted=True).messages()
    assert tuple(without[1].ret_offsets) == ()


def test_a_conversation_that_ends_with_the_shop_is_refused(tmp_path, monkeypatch):
    (tmp_path / "wishes-training.toml").write_text('few = [["a hat", "Here."]]')
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    module._of_files.cache_clear()
    try:
        with pytest.raises(InvalidInput, match=r"wishes-training.toml: few: .* ends with the user"):
            sayings("training")
    finally:
        module._of_files.cache_clear()


def test_uses_are_those_of_the_files():
    parts = "more|pictured|wide|paired|near|topics|plain|brief|first"
    names = {re.sub(f"-({parts})$", "", path.stem) for path in module.FOLDER.iterdir()}
    assert names == {f"{side}-{use}" for side in ("wishes", "others") for use in USES} | {"remarks-training"}
