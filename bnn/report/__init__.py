"""The HTML report: a page a dataset, and one over all of them."""

from bnn.report.render import render_dataset, render_overview, render_tables, write_page

__all__ = ["render_dataset", "render_overview", "render_tables", "write_page"]
