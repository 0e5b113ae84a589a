"""A job's page stands alone, shows what it is given, and runs nothing that a feed or a model wrote."""

import json
from html.parser import HTMLParser

import pytest

from jobs.common.reporting.page import Sample, page, polyline, samples_of, spread, throughput, write_page
from tests.pictures import write_png

FIGURES = {"job": "caption", "rows_in": 4, "rows_out": 3, "rows_failed": 1}
EVIL = "<script>alert(1)</script>\"'&"


class Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def test_nothing_that_comes_from_outside_is_markup():
    sample = Sample(EVIL, EVIL, "data:image/jpeg;base64,AA==", EVIL)
    html = page(figures=FIGURES | {"most_repeated": EVIL}, points=[], reasons={EVIL: 2}, samples=[sample])
    tags = Tags(html)
    assert tags.of("script") == []
    assert html.count("&lt;script&gt;") == 4
    assert tags.of("img") == [{"src": "data:image/jpeg;base64,AA==", "alt": ""}]
    assert [attributes for _, attributes in tags.found if "href" in attributes] == []


def test_reasons_are_bars_as_long_as_they_are_many():
    html = page(figures=FIGURES, points=[(0.0, 0), (2.0, 4)], reasons={"ImageError": 4, "FetchError": 1})
    bars = Tags(html).of("rect")
    assert [float(bar["width"]) for bar in bars] == [340.0, 85.0]
    assert html.index("ImageError") < html.index("FetchError")
    assert "None." not in html


def test_the_page_and_its_figures_lie_beside_each_other(tmp_path):
    write_page(tmp_path, figures=FIGURES, points=[(0.0, 0), (2.0, 4)], reasons={"ImageError": 1})
    told = json.loads((tmp_path / "report.json").read_text())
    assert told == FIGURES | {"failures": {"ImageError": 1}, "progress": [[0.0, 0], [2.0, 4]]}
    assert "ImageError" in (tmp_path / "report.html").read_text()


def test_throughput_adds_up_to_the_rows_done():
    rates = throughput([(0.0, 2), (1.0, 4), (1.5, 10), (3.0, 12)], bins=6)
    assert rates == [(0.5, 0.0), (1.0, 0.0), (1.5, 4.0), (2.0, 12.0), (2.5, 0.0), (3.0, 4.0)]
    assert polyline(rates).split()[3] == "426.7,0.0"
    assert throughput([(0.0, 0)]) == []
    assert polyline([]) == ""


@pytest.mark.parametrize(("count", "places"), [(0, []), (3, [0, 1, 2]), (24, list(range(0, 24, 2)))])
def test_a_sample_is_spread_over_the_rows(count, places):
    assert spread(count) == places


def test_a_picture_that_can_not_be_read_leaves_its_caption(tmp_path):
    write_png(tmp_path / "red.png")
    rows = [{"id": "red.png", "caption": None}, {"id": "absent.png", "caption": "a coat"}]
    red, absent = samples_of(rows, lambda id: (tmp_path / id).read_bytes())
    assert red.image.startswith("data:image/jpeg;base64,")
    assert (absent.image, absent.caption) == (None, "a coat")
