"""Renders templates as self-contained HTML pages."""

from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from router_tools.errors import ToolError
from router_tools.simulator.report.columns import title as title_of
from router_tools.simulator.report.columns import write as write_figure

TEMPLATES = Path(__file__).parent / "templates"
"""Holds the style and the script that all pages include."""


def render(template: Path, **values: object) -> str:
    """Return a page as HTML."""
    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["title_of"] = title_of
    environment.filters["figure_of"] = lambda value, figure: write_figure(figure, value)
    plotly_js = Markup(get_plotlyjs())  # trusted: it comes from the library
    return environment.get_template(template.name).render(plotly_js=plotly_js, **values)


def embedded(figure: go.Figure) -> Markup:
    """Return a figure as JSON that can be put into a page."""
    return Markup(figure.to_json())  # trusted: to_json escapes "<"


def write(path: Path, page: str) -> None:
    """Write a page to a file.

    Raises:
        ToolError: the file cannot be written.
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ToolError(f"{path}: cannot write the report: {error.strerror}") from error
