"""Embeddings and captions come from the engine that writes replies, as the library gives them, and leave chats room."""

import asyncio
import gc
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from fromage_model.captioning.captioner import BundleCaptioner
from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Finished, Message, Sampling
from services.deployments import asides
from services.deployments.writer import ReplyWriter
from tests.fromage_model import tiny

TEXTS = ["a red dress", "shoes", "something warm for the winter, please", "a hat"]


class Colours(torch.nn.Module):
    """In place of an encoder: features (B, F) that follow from a picture's mean colour."""

    def encode(self, images: Sequence[Image.Image]) -> np.ndarray:
        means = np.array([np.asarray(image, dtype=np.float32).mean(axis=(0, 1)) / 255 for image in images])
        return (means @ tiny.features(3).numpy()).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Fromage:
    place = tmp_path_factory.mktemp("asides")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(place / "home"))
        model = tiny.build(tiny.write_llama(place / "lm")).requires_grad_(False)
    model.encoder = Colours()
    return model


def pictures() -> list[Image.Image]:
    return [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "white")]


def test_a_text_s_embedding_is_the_library_s(model: Fromage):
    embedded = asyncio.run(asides.embed(ReplyWriter(model, concurrency=2), TEXTS))
    found = np.stack([each.embedding for each in embedded])
    assert np.allclose(found, model.text_embeddings(TEXTS).numpy(), atol=1e-5)
    assert all(each.tokens > 0 for each in embedded)


def test_a_picture_s_embedding_is_the_library_s(model: Fromage):
    features = model.encode(pictures())
    found = asyncio.run(asides.embed_pictures(model, features.numpy()))
    assert np.allclose(found, model.image_embeddings(features).numpy(), atol=1e-6)


@pytest.mark.parametrize("prompt", [None, "It shows"])
def test_captions_are_those_of_the_bundle_as_captioner(model: Fromage, prompt: str | None):
    features = model.encode(pictures()).numpy()
    sampling = Sampling(max_new_tokens=9)
    written = asyncio.run(asides.captions(ReplyWriter(model), features, prompt=prompt, sampling=sampling))
    wanted = BundleCaptioner(model).captions(pictures(), prompt, max_new_tokens=9)
    # Half a character, where the limit cuts one, is not sent.
    assert [each.text for each in written] == [text.rstrip("\ufffd") for text in wanted]
    assert all(each.completion_tokens <= 9 for each in written)


@pytest.mark.parametrize(("texts", "kind"), [(["hat", "x " * 600], PromptTooLong), (["hat", ""], InvalidInput)])
def test_a_text_that_can_not_be_read_is_named_by_its_place(model: Fromage, texts: list[str], kind: type):
    if kind is InvalidInput and model.tokens.start_ids:
        pytest.fail("the tiny model puts a start token before a text: choose another")
    with pytest.raises(kind) as refused:
        asyncio.run(asides.embed(ReplyWriter(model), texts))
    assert refused.value.field == "1"


def test_a_caption_that_does_not_fit_is_refused_before_it_is_begun(model: Fromage):
    features = model.encode(pictures()[:1]).numpy()
    with pytest.raises(PromptTooLong):
        asyncio.run(
            asides.captions(ReplyWriter(model), features, prompt="x " * 600, sampling=Sampling(max_new_tokens=4))
        )


def test_a_chat_finds_a_place_beside_any_number_of_texts(model: Fromage):
    """Half of the rows are never anyone's but a chat's."""

    async def both() -> tuple[list[str], int]:
        writer = ReplyWriter(model, concurrency=2, queue_size=1)
        ended: list[str] = []

        async def read_texts() -> int:
            found = await asides.embed(writer, TEXTS * 10)
            ended.append("texts")
            return len(found)

        async def chat() -> None:
            sampling = Sampling(max_new_tokens=2, ret_in_context=False)
            async for events in writer.stream([Message("user", ["Hi"])], retrieval="never", sampling=sampling):
                if isinstance(events[-1], Finished):
                    ended.append("chat")

        count, _ = await asyncio.gather(read_texts(), chat())
        return ended, count

    ended, count = asyncio.run(both())
    assert (ended, count) == (["chat", "texts"], 40)


def test_who_stops_waiting_leaves_no_row_behind(model: Fromage):
    async def leave() -> bool:
        writer = ReplyWriter(model, concurrency=2)
        task = asyncio.create_task(asides.embed(writer, ["x " * 50] * 20))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        (again,) = await asyncio.wait_for(asides.embed(writer, ["hat"]), 60)
        gc.collect()
        return bool(torch.isfinite(torch.from_numpy(again.embedding)).all()) and not writer.asides.locked()

    assert asyncio.run(leave())
