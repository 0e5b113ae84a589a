"""Official files of COCO and VQAv2, small, with all the fields that the published ones have."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from tests.pictures import encoded

CAPTIONS = {
    "train": ["A red square.", "Something red. ", "A red square."],
    "restval": ["A green square."],
    "val": ["A blue  square.", "Blue."],
    "test": ["A white square."],
}
# Of each split, pictures by their number in COCO.
COCO = (
    ("train2014", 9, "train", "red"),
    ("val2014", 42, "restval", "green"),
    ("val2014", 73, "val", "blue"),
    ("val2014", 74, "test", "white"),
)
# Question, picture, text, what ten people answered.
TRAIN = (
    (9000, 9, "What colour is it?", ["red"] * 8 + ["Red."] + ["the dark red"]),
    (25000, 25, "How many?", ["1"] * 3 + ["one"] * 2 + ["none"] + ["2"] * 4),
    (9001, 9, "Is it round?", ["no"] * 10),
)
VAL = ((73000, 73, "What colour?", ["blue"] * 4 + ["navy"] * 2 + ["teal"] * 1 + ["cyan"] * 3),)
TEST = ((1000, 1, "Where?"), (1001, 1, "Why?"), (2000, 2, "When?"))
TEST_DEV = ((1001, 1, "Why?"),)
NAMES = {"train": "train2014", "val": "val2014", "test": "test2015", "test-dev": "test-dev2015"}


def jpeg(colour: str) -> bytes:
    return encoded(Image.new("RGB", (16, 16), colour), "JPEG")


def picture(folder: Path, place: str, number: int, colour: str = "red") -> Path:
    path = folder / place / f"COCO_{place}_{number:012d}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(colour))
    return path


def coco_record(place: str, number: int, split: str) -> dict[str, Any]:
    sentences = [{"tokens": raw.split(), "raw": raw, "imgid": number, "sentid": number} for raw in CAPTIONS[split]]
    return {
        "filepath": place,
        "sentids": [number],
        "filename": f"COCO_{place}_{number:012d}.jpg",
        "imgid": number,
        "split": split,
        "sentences": sentences,
        "cocoid": number,
    }


def write_coco(folder: Path, *further: Any) -> Path:
    """Karpathy's COCO with a picture of each split, and in its list what is `further` given."""
    for place, number, _, colour in COCO:
        picture(folder, place, number, colour)
    images = [coco_record(place, number, split) for place, number, split, _ in COCO]
    (folder / "dataset_coco.json").write_text(json.dumps({"images": [*images, *further], "dataset": "coco"}))
    return folder


def question(id: int, image: int, text: str) -> dict[str, Any]:
    return {"image_id": image, "question": text, "question_id": id}


def annotation(id: int, image: int, answers: list[str]) -> dict[str, Any]:
    return {
        "question_type": "what",
        "multiple_choice_answer": max(answers, key=answers.count),
        "answers": [
            {"answer": answer, "answer_confidence": "yes", "answer_id": at} for at, answer in enumerate(answers, 1)
        ],
        "image_id": image,
        "answer_type": "other",
        "question_id": id,
    }


def write_questions(folder: Path, split: str, questions: list[Any]) -> None:
    head = {"info": {"version": "2.0"}, "task_type": "Open-Ended", "data_type": "mscoco", "license": {}}
    path = folder / f"v2_OpenEnded_mscoco_{NAMES[split]}_questions.json"
    path.write_text(json.dumps(head | {"data_subtype": NAMES[split], "questions": questions}))


def write_annotations(folder: Path, split: str, annotations: list[Any]) -> None:
    path = folder / f"v2_mscoco_{NAMES[split]}_annotations.json"
    path.write_text(json.dumps({"info": {}, "license": {}, "data_subtype": NAMES[split], "annotations": annotations}))


def write_vqav2(folder: Path) -> Path:
    """VQAv2 of four splits; annotations stand in another order than the questions."""
    for split, asked in (("train", TRAIN), ("val", VAL)):
        write_questions(folder_of(folder), split, [question(*one[:3]) for one in asked])
        write_annotations(folder, split, [annotation(one[0], one[1], one[3]) for one in reversed(asked)])
        for one in asked:
            picture(folder, NAMES[split], one[1], {9: "red", 25: "green"}.get(one[1], "blue"))
    for split, bare in (("test", TEST), ("test-dev", TEST_DEV)):
        write_questions(folder, split, [question(*one) for one in bare])
    for number in (1, 2):
        picture(folder, "test2015", number, ("white", "black")[number - 1])
    return folder


def folder_of(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
