"""Official files as the benchmarks read them, small and written by hand, with pictures of one colour each."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.pictures import write_png

COLOURS = ("red", "green", "blue", "white", "black", "navy", "teal", "olive", "gray", "pink", "gold", "lime")


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_coco(folder: Path, captions: Mapping[str, Sequence[str]], *, split: str = "val2014") -> Path:
    """COCO's captions, by colour of the picture."""
    images = [{"id": row, "file_name": f"COCO_{split}_{row:012}.jpg"} for row in range(len(captions))]
    annotations = [
        {"id": 100 * row + at, "image_id": row, "caption": caption}
        for row, own in enumerate(captions.values())
        for at, caption in enumerate(own)
    ]
    for image, colour in zip(images, captions, strict=True):
        write_png(folder / split / image["file_name"], colour, side_px=32)
    content = {"images": images, "annotations": annotations, "licenses": [], "info": {}}
    return write(folder / "annotations" / f"captions_{split}.json", content)


def write_karpathy(folder: Path, captions: Mapping[str, Sequence[str]], *, split: str = "test") -> Path:
    """Karpathy's dataset, the last picture in another split."""
    images = []
    for row, (colour, own) in enumerate(captions.items()):
        name = f"COCO_val2014_{row:012}.jpg"
        write_png(folder / "val2014" / name, colour, side_px=32)
        sentences = [{"raw": text, "tokens": text.split(), "imgid": row, "sentid": at} for at, text in enumerate(own)]
        told = split if row < len(captions) - 1 else "train"
        images.append({"filepath": "val2014", "filename": name, "imgid": row, "split": told, "sentences": sentences})
    return write(folder / "dataset_coco.json", {"images": images, "dataset": "coco"})


def write_vqa(folder: Path, *, split: str, count: int, people: Sequence[str] = ("red",) * 6 + ("blue",) * 4) -> Path:
    """VQAv2's questions and annotations, two questions about each picture; the answer's type alternates."""
    rows = range(count)
    for image in {row // 2 for row in rows}:
        write_png(folder / split / f"COCO_{split}_{image:012}.jpg", COLOURS[image % len(COLOURS)], side_px=32)
    questions = [{"question_id": 10 * row, "image_id": row // 2, "question": f"Is it {row}?"} for row in rows]
    annotations = [
        {
            "question_id": 10 * row,
            "image_id": row // 2,
            "answer_type": "yes/no" if row % 2 else "other",
            "question_type": "is it",
            "multiple_choice_answer": people[0],
            "answers": [
                {"answer": answer, "answer_id": at, "answer_confidence": "yes"} for at, answer in enumerate(people, 1)
            ],
        }
        for row in rows
    ]
    write(folder / f"v2_OpenEnded_mscoco_{split}_questions.json", {"questions": questions, "data_subtype": split})
    return write(folder / f"v2_mscoco_{split}_annotations.json", {"annotations": annotations, "data_subtype": split})


def write_vist(folder: Path, stories: Mapping[str, Sequence[str]], *, split: str = "val") -> Path:
    """VIST's stories in sequence: for each the colours of its five pictures, whose ids they are."""
    annotations = [
        [
            {
                "story_id": story,
                "photo_flickr_id": colour,
                "worker_arranged_photo_order": place,
                "text": f"caption {place} of {story}, {colour}",
            }
        ]
        for place in reversed(range(5))
        for story, colours in stories.items()
        for colour in [colours[place]]
    ]
    for colour in {colour for colours in stories.values() for colour in colours}:
        write_png(folder / "images" / f"{colour}.jpg", colour, side_px=32)
    return write(folder / "sis" / f"{split}.story-in-sequence.json", {"annotations": annotations, "images": []})


def write_visdial(folder: Path, *, dialogues: int, rounds: int = 2, options: int = 4, split: str = "val") -> Path:
    """VisDial v1.0 with its dense annotations; the given answer is the second option, and half relevant the third."""
    answers = [f"answer {number}" for number in range(10)]
    questions = [f"is it {number}" for number in range(10)]
    dialogs = [
        {
            "image_id": image,
            "caption": "a square",
            "dialog": [
                {
                    "question": number,
                    "answer": 1 + number,
                    "answer_options": [number + at for at in range(options)],
                    "gt_index": 1,
                }
                for number in range(rounds)
            ],
        }
        for image in range(dialogues)
    ]
    for image in range(dialogues):
        write_png(
            folder / f"VisualDialog_{split}2018" / f"VisualDialog_{split}2018_{image:012}.jpg",
            COLOURS[image],
            side_px=32,
        )
    relevance = [0.0, 1.0, 0.5, *[0.0] * (options - 3)]
    dense = [{"image_id": image, "round_id": rounds, "gt_relevance": relevance} for image in range(dialogues)]
    write(folder / f"visdial_1.0_{split}_dense_annotations.json", dense)
    data = {"questions": questions, "answers": answers, "dialogs": dialogs}
    return write(folder / f"visdial_1.0_{split}.json", {"version": "1.0", "split": f"{split}2018", "data": data})


def change(path: Path, edit) -> None:
    """Rewrite a JSON file, as `edit` leaves its content."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
