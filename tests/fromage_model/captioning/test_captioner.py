"""Every captioner: a batch equals pictures alone, a name finds its captioner, and a wrong one says what would do."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from PIL import Image

from fromage_model import FrozenModel
from fromage_model.bundle import save_bundle
from fromage_model.captioning.captioner import BundleCaptioner, Captioner, TransformersCaptioner, load_captioner
from fromage_model.errors import ConfigError, InvalidInput, MissingArtefact, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.language.caption_text import last_complete_clause
from fromage_model.llama_adapter import LlamaAdapter
from fromage_model.prompts.segments import Picture, Prompt
from fromage_model.storage.artefacts import place
from fromage_model.vision.encoders import load_vision_encoder
from tests.fromage_model import reference, tiny, tiny_frozen
from tests.fromage_model.captioning import tiny_captioners
from tests.fromage_model.chat.one_row import sample
from tests.fromage_model.llama_adapter.originals import write_originals


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    draw = np.random.default_rng(0)
    sizes = ((40, 50), (64, 64), (20, 64))
    return [Image.fromarray(draw.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("captioners")
    return {
        "llava": tiny_captioners.write_llava(place / "llava"),
        "idefics3": tiny_captioners.write_idefics3(place / "idefics3"),
        "smolvlm": tiny_captioners.write_smolvlm(place / "smolvlm"),
        "mllama": tiny_captioners.write_mllama(place / "mllama"),
    }


@pytest.fixture
def bundle(lms, clip, own_home, tmp_path):
    """A saved bundle whose encoder is a tiny CLIP; with learned positions and a start token."""
    model = tiny.build(lms.opt, vision_encoder=str(clip))
    encoder = load_vision_encoder(str(clip))
    width, fingerprint = encoder.feature_width, encoder.fingerprint
    save_bundle(model, tmp_path / "mine", feature_width=width, encoder_fingerprint=fingerprint, lineage={})
    return tmp_path / "mine"


def load(place) -> Captioner:
    return load_captioner(str(place), device="cpu", dtype=torch.float32)


def assert_batched_as_alone(captioner: Captioner, pictures, **options) -> list[str]:
    together = captioner.captions(pictures, **options)
    assert together == [captioner.captions([picture], **options)[0] for picture in pictures]
    assert len(set(together)) > 1
    return together


@pytest.mark.parametrize("kind", ["llava", "idefics3", "smolvlm", "mllama"])
def test_a_model_of_transformers_writes_in_batches_as_alone(folders, pictures, kind):
    captioner = load(folders[kind])
    assert isinstance(captioner, TransformersCaptioner)
    greedy = assert_batched_as_alone(captioner, pictures, max_new_tokens=12)
    drawn = assert_batched_as_alone(captioner, pictures, max_new_tokens=12, temperature=1.0, top_p=0.9, seed=1)
    assert drawn == captioner.captions(pictures, max_new_tokens=12, temperature=1.0, top_p=0.9, seed=1)
    assert greedy != drawn != captioner.captions(pictures, max_new_tokens=12, temperature=1.0, top_p=0.9, seed=2)
    assert greedy != captioner.captions(pictures, "shoes?", max_new_tokens=12)
    assert captioner.captions([]) == []


def test_a_bundle_writes_in_batches_as_alone(bundle, pictures):
    captioner = load(bundle)
    assert isinstance(captioner, BundleCaptioner)
    assert captioner.default_prompt == "A picture of"
    assert_batched_as_alone(captioner, pictures)
    assert_batched_as_alone(captioner, pictures, temperature=1.0, seed=1)
    assert captioner.captions(pictures) != captioner.captions(pictures, "Have you got")
    assert captioner.captions([]) == []


def continued(model: Fromage, prompt: Prompt, *, tokens: int, temperature: float = 0.0, seed: int = 0) -> str:
    """What the LM writes after `prompt`, one whole reading for each token, until it ends; [RET] is never taken."""
    generator = torch.Generator().manual_seed(seed)
    written: list[int] = []
    for _ in range(tokens):
        with torch.no_grad():
            logits = reference.read(model, [*prompt, written]).logits[-1, :-1]
        chosen = sample(logits, temperature=temperature, top_p=1.0, generator=generator)
        if chosen in model.tokens.stop_ids:
            break
        written.append(chosen)
    return model.tokens.decode(written)


@pytest.mark.parametrize("original", [False, True])
def test_a_bundle_s_caption_is_the_greedy_continuation_of_prefix_and_prompt(bundle, pictures, original):
    captioner = load(bundle)
    model = captioner.model
    model.config = dataclasses.replace(model.config, original_captions=original)
    for picture in pictures:
        start, words = list(model.tokens.start_ids), model.tokens.encode("A picture of")
        seen = Picture(model.encode([picture])[0])
        text = continued(model, [seen, words, start] if original else [start, seen, words], tokens=8)
        assert text.strip()
        assert "\n" not in text
        assert captioner.captions([picture], max_new_tokens=8) == [last_complete_clause(text)]


def test_a_bundle_s_caption_ends_with_its_line(bundle, pictures):
    captioner = load(bundle)
    model = captioner.model
    start, words = list(model.tokens.start_ids), model.tokens.encode("A picture of")
    seen = Picture(model.encode(pictures[:1])[0])
    drawn = {"temperature": 2.0}
    for seed in range(100):
        line, _, rest = continued(model, [start, seen, words], tokens=26, **drawn, seed=seed).partition("\n")
        if line.strip() and rest.strip():
            break
    else:
        pytest.fail("no seed draws a line break between words")
    assert captioner.captions(pictures[:1], **drawn, seed=seed) == [line.strip()]


def test_a_saved_frozen_model_is_a_captioner_by_name_and_by_folder(lms, own_home, tmp_path, pictures):
    model = tiny_frozen.build(lms.opt, tiny_frozen.write_resnet(tmp_path / "resnet"))
    model.save(place("bundle", "mine"))
    for captioner in (load("mine"), load(place("bundle", "mine"))):
        assert isinstance(captioner, FrozenModel)
        assert captioner.default_prompt == ""
        assert captioner.captions(pictures) == model.captions(pictures)
        assert not any(parameter.requires_grad for parameter in captioner.parameters())
    greedy = assert_batched_as_alone(captioner, pictures)
    drawn = assert_batched_as_alone(captioner, pictures, temperature=1.0, top_p=0.9, seed=1)
    assert greedy != drawn != captioner.captions(pictures, temperature=1.0, top_p=0.9, seed=2)
    assert greedy != captioner.captions(pictures, "Have you got")
    assert captioner.captions([]) == []
    with pytest.raises(InvalidInput, match="max_new_tokens is 0"):
        captioner.captions(pictures, max_new_tokens=0)


def test_the_shipped_bundle_is_the_default(pictures):
    captioner = load_captioner()
    assert isinstance(captioner, BundleCaptioner)
    captions = captioner.captions(pictures[:2], max_new_tokens=6)
    assert all(captions)


def test_llama_adapter_is_named_by_its_three_places(tmp_path, pictures):
    files = write_originals(tmp_path, kind="BIAS-7B")
    captioner = load(f"llama-adapter:{files.llama_dir},{files.checkpoint},{files.clip}")
    assert isinstance(captioner, LlamaAdapter)
    assert captioner.default_prompt == "Generate caption of this image"
    assert len(captioner.captions(pictures, temperature=0)) == 3


@pytest.mark.parametrize("captioner", [BundleCaptioner, FrozenModel, TransformersCaptioner, LlamaAdapter])
def test_every_captioner_takes_what_the_protocol_says(captioner):
    wanted = list(inspect.signature(Captioner.captions).parameters)
    assert list(inspect.signature(captioner.captions).parameters) == wanted


def test_names_that_lead_nowhere_say_what_a_captioner_is(tmp_path, own_home, monkeypatch, lms):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("nothing-of-that-name", "no-one/no-such-model"):
        with pytest.raises(MissingArtefact, match=r"no captioner .* A captioner is the name or folder of a bundle"):
            load_captioner(name)
    with pytest.raises(ConfigError, match="holds no captioner: none of bundle"):
        load_captioner(str(tmp_path))
    with pytest.raises(ConfigError, match="a 'llama' model, which does not turn images and text to text"):
        load_captioner(str(lms.untied))
    with pytest.raises(ConfigError, match="expected 'llama-adapter:LLAMA_DIR,CHECKPOINT,CLIP'"):
        load_captioner("llama-adapter:/models/llama")


def test_settings_out_of_bounds_are_named(bundle, folders, pictures):
    for captioner in (load(bundle), load(folders["llava"])):
        with pytest.raises(InvalidInput, match="max_new_tokens is 0"):
            captioner.captions(pictures, max_new_tokens=0)
    with pytest.raises(PromptTooLong, match="together at most 256"):
        load(bundle).captions(pictures, "dress " * 300)
