"""Catalogues made of feeds whose pictures lie on this machine, without a job."""

import hashlib
import shutil
from pathlib import Path

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.assemble import Picture, assemble
from fromage_model.catalogue.feeds.feed import Feed
from fromage_model.catalogue.table import write_catalogue


def write_of(feed: Feed, folder: Path) -> Catalogue:
    (folder / "images").mkdir(parents=True)
    pictures = []
    for row in feed.rows:
        data = Path(row.image).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        shutil.copy(row.image, folder / "images" / f"{sha256}.jpg")
        pictures.append(Picture(row.row, f"images/{sha256}.jpg", sha256))
    table = assemble(feed, pictures, held_out=None).table
    write_catalogue(folder, table=table, failures=[], info={"name": folder.name})
    return Catalogue.open(folder)
