"""Formulas as MathML, made when the site is built: no script, and nothing from another host."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)

FUNCTION = re.compile(
    r"(</m(?:i|over|row)>)?(<mi>(?:log|tanh|sin|cos)</mi>)(<mi>)?"
)  # MathML sets them like variables


def _apart(found: re.Match[str]) -> str:
    before, function, after = found.groups()
    space = '<mspace width="0.17em"></mspace>'
    return (before + space if before else "") + function + (space + after if after else "")


def on_page_content(content: str, page: Page, **_: object) -> str:
    def drawn(found: re.Match[str]) -> str:
        tex = html.unescape(found[2]).strip()
        markup = convert(tex, display="inline" if found[1] == "span" else "block")
        if "\\" in re.sub(r"<[^>]*>", "", markup):
            raise PluginError(f"{page.file.src_uri}: latex2mathml does not know all of {tex!r}")
        return FUNCTION.sub(_apart, markup).replace("<math ", f'<math alttext="{html.escape(tex)}" ', 1)

    return FORMULA.sub(drawn, content)
