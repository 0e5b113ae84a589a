"""One pair is swapped for another whole, after it was found good; a bad one is refused and the old one goes on."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from fromage_model.prompts.messages import Finished, Message, Sampling, TextDelta
from services.deployments.chat import Parts
from services.deployments.llm import LlmDeployment
from services.deployments.retrieval import RetrievalDeployment
from services.errors import PairRefused
from services.products import Narrowing
from services.swapping.current import Swapping
from services.swapping.pairs import Notice, Pair, digest
from tests.fromage_model import tiny
from tests.services.made_pairs import Made, make_pairs

LLM = {"device": "cpu", "threads": 1, "concurrency": 2, "queue": 4, "least_rate": 5.0, "gather_s": 0.0}
LLM |= {"quantize": "none", "prefix_bytes": 0}
RED = np.eye(1, tiny.SHARED_WIDTH, dtype=np.float32)[0]


class Wall:
    """A board that several replicas read, in this process."""

    def __init__(self) -> None:
        self.notice: Notice | None = None
        self.draining = False
        self.told: dict[str, int] = {}

    def read(self) -> Notice | None:
        return self.notice

    def write(self, notice: Notice) -> None:
        self.notice = notice

    def tell_ongoing(self, replica: str, requests: int) -> None:
        self.told[replica] = requests


class Served:
    """Both deployments, without Ray, and replicas of the chat that share a board."""

    def __init__(self, made: Made):
        self.made, self.wall = made, Wall()
        self.first = made.pair("old")
        self.llm = LlmDeployment.func_or_class(self.first, **LLM, idle_s=0.0)
        self.retrieval = RetrievalDeployment.func_or_class(self.first, idle_s=0.0)

    def replica(self, name: str = "") -> Swapping:
        return Swapping(self.first, Parts(self.llm, self.retrieval), self.wall, replica=name)

    async def begun(self, config: dict[str, str] | None = None) -> Swapping:
        replica = self.replica()
        await replica.begin(config or self.made.config("old"))
        return replica

    async def caption(self, pair: Pair) -> str:
        return (await self.retrieval.search(RED, top_k=1, narrowing=Narrowing(), pair=pair)).products[0].caption


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make_pairs(tmp_path)


def test_a_good_pair_is_opened_in_both_and_then_in_use(made: Made):
    served = Served(made)

    async def swap() -> Swapping:
        replica = await served.begun()
        assert replica.pair == served.first
        assert await replica.reload(made.wanted("new")) == replica.pair
        return replica

    replica = asyncio.run(swap())
    assert replica.pair == made.pair("new")
    assert replica.shelf is not None
    assert replica.shelf.items == 3
    assert served.llm.writer.model.fingerprint == made.pair("new").fingerprint


def test_two_bundles_over_one_lm_have_it_in_memory_once(made: Made):
    served = Served(made)
    old = served.llm.writer.model

    async def swap() -> None:
        await (await served.begun()).reload(made.wanted("new"))

    asyncio.run(swap())
    new = served.llm.writer.model
    assert new is not old
    assert new.lm is old.lm


def test_a_reply_that_is_being_written_ends_on_the_old_bundle_and_the_old_index(made: Made):
    served = Served(made)

    async def write(pair: Pair) -> str:
        sampling = Sampling(max_new_tokens=24, ret_in_context=False)
        stream = served.llm.stream([Message("user", ["Hello"])], retrieval="always", sampling=sampling, pair=pair)
        events = [event async for events in stream for event in events]
        assert isinstance(events[-1], Finished)
        return "".join(event.text for event in events if isinstance(event, TextDelta))

    async def swap_meanwhile() -> tuple[str, str, str]:
        alone = await write(served.first)
        replica = await served.begun()
        writing = asyncio.create_task(write(served.first))
        await asyncio.sleep(0)
        made.build_index("new", caption="{}, and new")
        await replica.reload(made.wanted("new"))
        await served.llm.check_health()
        assert await served.caption(replica.pair) == "red, and new"
        return alone, await writing, await served.caption(served.first)

    alone, beside, caption = asyncio.run(swap_meanwhile())
    assert beside == alone
    assert caption == "a red square"


def test_what_nobody_uses_any_more_is_let_go_of(made: Made):
    served = Served(made)
    old = served.llm.writer

    async def swap() -> None:
        await (await served.begun()).reload(made.wanted("new"))
        await served.llm.check_health()
        await served.retrieval.check_health()

    asyncio.run(swap())
    old._thread.join(timeout=10)
    assert not old._thread.is_alive()
    assert served.llm._held.open_things == [served.llm.writer]


@pytest.mark.parametrize(
    ("bundle", "index", "reason"),
    [
        ("old", "new", "was not made by bundle"),
        ("nowhere", "new", "no bundle"),
        ("new", "nowhere", "no index"),
        ("broken", "broken", "weights"),
    ],
)
def test_a_bad_pair_is_refused_and_the_old_one_goes_on(made: Made, bundle: str, index: str, reason: str):
    if bundle == "broken":
        break_bundle(made)
    served = Served(made)

    async def swap() -> Swapping:
        replica = await served.begun()
        with pytest.raises(PairRefused, match=rf"(?s){reason}.*The old pair goes on"):
            await replica.reload(made.wanted(bundle, index=index))
        return replica

    replica = asyncio.run(swap())
    assert replica.pair == served.first
    assert served.wall.notice == Notice(digest(made.config("old")), served.first)


def break_bundle(made: Made) -> None:
    """A bundle whose header is right, and whose weights lack one."""
    from safetensors.torch import load_file, save_file

    (made.folder / "broken").mkdir()
    tensors = load_file(made.folder / "new" / "weights.safetensors")
    tensors.popitem()
    save_file(tensors, made.folder / "broken" / "weights.safetensors")
    (made.folder / "broken" / "bundle.json").write_text((made.folder / "new" / "bundle.json").read_text())
    made.build_index("broken")


def test_a_bundle_of_another_encoder_needs_a_new_deployment(made: Made):
    served = Served(made)
    header = (made.folder / "new" / "bundle.json").read_text()
    (made.folder / "new" / "bundle.json").write_text(header.replace("the encoder", "a better one"))
    made.build_index("new")

    async def swap() -> None:
        with pytest.raises(PairRefused, match=r"another vision encoder .* new deployment"):
            await (await served.begun()).reload(made.wanted("new"))

    asyncio.run(swap())


def test_an_index_that_was_written_again_under_its_name_is_another_pair_with_the_same_bundle(made: Made):
    served = Served(made)

    async def update() -> tuple[str, str]:
        replica = await served.begun()
        writer = served.llm.writer
        made.build_index("old", caption="{}, now for less")
        await replica.reload(replica.pair.renewed())
        assert served.llm.writer is writer
        return await served.caption(served.first), await served.caption(replica.pair)

    assert asyncio.run(update()) == ("a red square", "red, now for less")


def test_every_replica_follows_the_one_that_was_asked(made: Made):
    served = Served(made)

    async def swap() -> list[Pair]:
        one, other = await served.begun(), await served.begun()
        await one.reload(made.wanted("new"))
        await other.look()
        return [one.pair, other.pair, (await served.begun()).pair]

    assert asyncio.run(swap()) == [made.pair("new")] * 3


def test_a_changed_configuration_wins_over_what_was_loaded_before(made: Made):
    served = Served(made)

    async def change() -> list[Pair]:
        one, other = await served.begun(), await served.begun()
        await one.reload(made.wanted("old"))
        await one.configure(made.config("new"))
        await other.look()
        assert other.pair == made.pair("old"), "its own configuration has not changed yet"
        await other.configure(made.config("new"))
        return [one.pair, other.pair]

    assert asyncio.run(change()) == [made.pair("new")] * 2


@pytest.mark.parametrize("config", [{"bundel": "x"}, {"bundle": "nowhere", "index": "nowhere"}])
def test_a_configuration_that_is_refused_is_told_and_a_replica_that_starts_again_goes_on_too(made: Made, config):
    served = Served(made)

    async def change() -> list[Swapping]:
        one = await served.begun()
        await one.configure(config)
        return [one, await served.begun(config)]

    for replica in asyncio.run(change()):
        assert replica.pair == served.first
        assert "The old pair goes on" in str(replica.refused) or "known are bundle, index" in str(replica.refused)


def test_the_first_pair_of_all_must_be_good(made: Made):
    served = Served(made)

    async def begin() -> None:
        with pytest.raises(PairRefused, match=r"user_config\.bundel"):
            await served.begun(made.config("old") | {"bundel": "x"})

    asyncio.run(begin())


def test_a_replica_that_drains_tells_how_many_it_still_answers(made: Made):
    served = Served(made)

    async def drain() -> Swapping:
        replica = served.replica("one")
        await replica.begin(made.config("old"))
        served.wall.draining, replica.ongoing = True, 3
        await replica.look()
        return replica

    assert asyncio.run(drain()).draining
    assert served.wall.told == {"one": 3}
