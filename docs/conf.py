"""How Sphinx builds the site: `make docs`. What is generated, and how links are turned, is in _ext/project_pages.py."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE / "_ext"), str(_HERE.parent)]

import bnn  # noqa: E402  (found by the line above)

project = "bnn"
author = "the authors of bnn"
version = release = bnn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "project_pages",
]
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# The public names of each module, in the order of the file, as their docstrings have them: one page for each package.
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    # Written by scikit-learn, for its routing of metadata.
    "exclude-members": "set_fit_request, set_predict_request, set_score_request",
}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False

# Every link must lead somewhere. Types in signatures are no links that anyone wrote: many are of other packages, whose
# inventories are in the network.
nitpicky = True
nitpick_ignore_regex = [(r"py:(?!mod).*", r".*")]

# The site works from disk, without a network: no fonts, scripts or formulas from elsewhere.
html_theme = "pydata_sphinx_theme"
html_title = f"bnn {release}"
html_static_path: list[str] = []
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "collapse_navigation": True,  # else most of the time goes into the sidebars of pages of code
}

linkcheck_timeout = 20
linkcheck_workers = 4
linkcheck_anchors = False
