"""How Sphinx builds the documentation: pages in Markdown, and a reference made from the docstrings.

Nothing is looked up on the network.
"""

import os
import sys
import typing
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# jaxtyping then shows an annotation as it was written: Float[Array, "T B"].
typing.GENERATING_DOCUMENTATION = "triax"  # type: ignore[attr-defined]

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))

import docstring_mathematics  # noqa: E402
import reference_pages  # noqa: E402
from docutils import nodes  # type: ignore[import-untyped]  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

import triax  # noqa: E402

project = "Triax"
author = "The Triax developers"
copyright = "2026, The Triax developers"
version = release = triax.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
templates_path: list[str] = []
language = "en"

html_theme = "furo"
html_title = "Triax"
html_static_path = ["_static"]
html_css_files = ["reference.css"]
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A class's page shows its docstring and its documented members; types stand beside the parameters' descriptions.
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "show-inheritance": True,
    # What a package offers under a shorter name is documented where it is defined.
    "ignore-module-all": True,
}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
autoclass_content = "both"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True

reference_pages.write(folder=HERE / "reference")


def setup(app: Sphinx) -> None:
    def escape(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
        lines[:] = docstring_mathematics.escape(lines)

    def tidy(app: Sphinx, doctree: nodes.document) -> None:
        for paragraph in list(doctree.findall(nodes.paragraph)):
            if paragraph.astext() == "Bases: object":
                paragraph.parent.remove(paragraph)
        for text in list(doctree.findall(nodes.Text)):
            # JAX's arrays live in a compiled module whose name says nothing.
            if "jaxlib._jax." in text:
                text.parent.replace(text, nodes.Text(text.replace("jaxlib._jax.", "")))

    app.connect("autodoc-process-docstring", escape)
    app.connect("doctree-read", tidy)
