"""Pictures that are gone since ingest are not asked about, and are named."""

from jobs.evaluate.chat.measure import gone_pictures
from tests.jobs import tiny


def test_a_picture_that_is_gone_or_damaged_is_told_before_anything_is_asked(tmp_path, caplog):
    catalogue = tiny.write_squares(tmp_path / "squares", colours=["red", "green", "blue"])
    (tmp_path / "squares" / "images" / "red.png").unlink()
    (tmp_path / "squares" / "images" / "green.png").write_bytes(b"no picture")
    red, green, _ = catalogue.items()
    assert gone_pictures(catalogue, catalogue.items()) == {red.id, green.id}
    assert f"nothing is asked about the picture of {red.id}: " in caplog.text
