import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from router_tools.errors import ToolError
from router_tools.simulator.comparison import Case, compare
from router_tools.simulator.report.page import render_page, write_page
from router_tools.simulator.suite import SuiteCase, Target, judge
from router_tools.simulator.world import Drift, Outage, World
from tests.unit.router_tools.simulator.builders import three_devices, variant, workload

WORLD = three_devices()
BUSY = World(
    "busy",
    "A <b>bold</b> world.",
    WORLD.variants,
    assumed=("Everything.",),
    drifts=(Drift("gpu", 0.2, 0.4, 2.5),),
    outages=(Outage("ane", 0.6, 0.7, 0.001, dead=False),),
)
HOSTILE = World("hostile", "", (*WORLD.variants, variant("</script>")))
CASES = [
    Case("first case", BUSY, workload(requests=400), ("latency", "p2c")),
    Case("overload", HOSTILE, workload(2.0, 400, told_deadline=True, refuse_late=True), ("latency",)),
]
COMPARISONS = compare(CASES, (0,), 1, lambda: None)
TARGETS = (Target("latency", "mean_ratio", at_most=9.0), Target("latency", "mean_ratio", at_most=0.1))
OUTCOMES = judge(SuiteCase(CASES[0], TARGETS), COMPARISONS[0])
PAGE = render_page("A title", COMPARISONS, OUTCOMES)


class Elements(HTMLParser):
    """Checks that tags are balanced, and collects links and plots."""

    EMPTY = ("meta", "link", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.figures: list[dict[str, list[dict[str, object]]]] = []
        self.sources: list[str] = []
        self._in_figure = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.sources += [value for name in ("src", "href") if (value := named.get(name))]
        self._in_figure = tag == "script" and named.get("type") == "application/json"
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_data(self, data: str) -> None:
        if self._in_figure:
            self.figures.append(json.loads(data))

    def handle_endtag(self, tag: str) -> None:
        self._in_figure = False
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def elements() -> Elements:
    parser = Elements()
    parser.feed(PAGE)
    parser.close()
    return parser


def test_the_page_is_well_formed_and_self_contained(elements: Elements) -> None:
    assert elements.open == []
    assert all(source.startswith("#case-") for source in elements.sources)
    assert len(elements.sources) == 2


def test_each_case_has_its_five_plots_of_all_policies(elements: Elements) -> None:
    assert len(elements.figures) == 10
    latency, regret, shares, ecdf, calibration = elements.figures[:5]
    for figure in (latency, regret, ecdf):
        assert {trace["name"] for trace in figure["data"]} == {"oracle", "latency", "p2c"}
    assert {trace["name"] for trace in shares["data"]} == {"gpu", "ane", "cpu"}
    assert {trace.get("name") for trace in calibration["data"]} == {"gpu", "ane", "cpu", None}


def test_events_are_shaded_on_the_time_axis(elements: Elements) -> None:
    layout: dict[str, list[dict[str, str]]] = elements.figures[0]["layout"]  # type: ignore[assignment]
    assert [note["text"] for note in layout["annotations"]] == ["gpu ×2.5", "ane fails"]
    assert len(layout["shapes"]) == 2


def test_the_page_shows_which_targets_were_met() -> None:
    assert re.search(r"<strong>1</strong> of 2 targets met", PAGE)
    assert len(re.findall(r'<li class="met">', PAGE)) == 1
    assert len(re.findall(r'<li class="missed">', PAGE)) == 1


def test_text_from_files_is_escaped(elements: Elements) -> None:
    assert {trace["name"] for trace in elements.figures[7]["data"]} >= {"</script>"}
    assert "A &lt;b&gt;bold&lt;/b&gt; world." in PAGE
    assert "<b>bold" not in PAGE


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot write the report: Is a directory"):
        write_page(tmp_path, "A title", COMPARISONS, OUTCOMES)
