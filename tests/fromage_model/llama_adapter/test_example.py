"""The example of the documents runs on files of the original's form."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "llama_adapter.py"


def test_the_example_captions_every_picture_twice(files, pictures, tmp_path, capsys):
    places = []
    for number, picture in enumerate(pictures[:2]):
        picture.save(tmp_path / f"{number}.png")
        places.append(str(tmp_path / f"{number}.png"))
    original = files["CAPTION-7B"]
    main = runpy.run_path(str(EXAMPLE))["main"]
    main(str(original.llama_dir), str(original.checkpoint), str(original.clip), *places)
    written = capsys.readouterr().out
    assert [written.count(f"{place}: ") for place in places] == [2, 2]
