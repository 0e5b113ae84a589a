"""Another pair than OpenMoji's own, made in a moment: its bundle with its text head turned a little, and the
same vectors as an index of it, whose captions say so.
"""

from pathlib import Path

import pyarrow as pa
from safetensors.torch import load_file, save_file

from fromage_model.header import HEADER, WEIGHTS, bundle_fingerprint
from fromage_model.index import RetrievalIndex
from fromage_model.storage.artefacts import locate

CAPTION = "new: "


def make_second_pair(folder: Path, *, bundle: str = "openmoji", index: str = "openmoji") -> dict[str, str]:
    """-> what `POST /admin/reload` takes."""
    old = locate("bundle", bundle)
    new = folder / "second"
    new.mkdir(parents=True)
    tensors = load_file(old / WEIGHTS)
    name = next(name for name in sorted(tensors) if name.startswith("text_head"))
    save_file(tensors | {name: tensors[name] * 1.01}, new / WEIGHTS)
    (new / HEADER).write_text((old / HEADER).read_text())
    made = RetrievalIndex.load(index)
    items = made.items
    captions = pa.array([CAPTION + (caption or "") for caption in items.column("caption").to_pylist()])
    items = items.set_column(items.schema.get_field_index("caption"), "caption", captions)
    second = RetrievalIndex.build(
        made.vectors, items, fingerprint=bundle_fingerprint(str(new)), catalogue=made.info.catalogue
    )
    second.save(folder / "second-index")
    return {"bundle": str(new), "index": str(folder / "second-index")}
