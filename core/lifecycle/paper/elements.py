"""Elements of an HTML file that is sent nowhere and asks for nothing."""

import html
from collections.abc import Iterable

from core.formats import visible
from core.texts import LANGUAGE

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'"
)
"""Nothing is fetched, sent or run, even if something in the file wanted to be."""

_VOID = frozenset({"meta"})

_STYLE = """
@page { size: A4; margin: 16mm 14mm; }
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: #1b2333; background: #fff; max-width: 820px; margin: 24px auto; padding: 0 16px; }
h1 { font-size: 20pt; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 13pt; margin: 26px 0 8px; padding-bottom: 3px; border-bottom: 1px solid #d8deeb;
  break-after: avoid; }
h3 { font-size: 10.5pt; margin: 14px 0 4px; break-after: avoid; }
p { margin: 4px 0; overflow-wrap: anywhere; }
.kicker { color: #5b667d; }
.said { font-size: 13pt; }
.made { color: #5b667d; margin-top: 18px; }
.words { border-left: 3px solid #d8deeb; padding-left: 10px; white-space: pre-wrap; }
dl { display: grid; grid-template-columns: minmax(110px, 24%) 1fr; gap: 3px 14px; margin: 8px 0; }
dt { color: #5b667d; }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; margin: 8px 0; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
th, td { text-align: left; vertical-align: top; padding: 3px 10px 3px 0;
  border-bottom: 1px solid #e7ebf5; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
th { color: #5b667d; font-weight: 600; }
.check { border-left: 4px solid #8c8c8c; padding: 1px 0 1px 12px; margin: 12px 0;
  break-inside: avoid; }
.check.pass { border-color: #009e73; } .check.warn, .check.inform { border-color: #e08a00; }
.check.block { border-color: #d55e00; }
pre { font: 8.5pt/1.4 ui-monospace, Menlo, Consolas, monospace; background: #f4f6fb; padding: 8px;
  white-space: pre-wrap; overflow-wrap: anywhere; margin: 6px 0; }
svg { display: block; max-width: 100%; height: auto; margin: 8px 0; break-inside: avoid; }
"""


class Html(str):
    """Text that is HTML already: made by ``el`` alone."""

    __slots__ = ()


def el(tag: str, *inner: object, **attributes: object) -> Html:
    """An element.

    Args:
        tag: its name, ours.
        inner: elements, or text from anywhere, which is escaped and made visible.
        attributes: values from anywhere; ``class_`` is ``class``, ``font_size`` ``font-size``.
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for name, value in attributes.items()
    )
    if tag in _VOID:
        return Html(f"<{tag}{named}>")
    return Html(f"<{tag}{named}>{''.join(_text(part) for part in inner)}</{tag}>")


def page(title: str, body: Iterable[Html]) -> str:
    """A whole file."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", title),
        el("style", Html(_STYLE)),
    )
    return "<!doctype html>\n" + el("html", head, el("body", *body), lang=LANGUAGE) + "\n"


def _text(part: object) -> str:
    return part if isinstance(part, Html) else html.escape(visible(str(part)), quote=True)
