"""HTML that somebody else wrote, in a frame from which it can do nothing but be looked at."""

import html

import streamlit as st

from core.texts import t

_POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"
_HEAD = (
    '<!doctype html><html><head><meta charset="utf-8">'
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    '<meta http-equiv="x-dns-prefetch-control" content="off">'
    '<meta name="referrer" content="no-referrer">'
    '<meta name="color-scheme" content="light">'  # on white, as whoever wrote it saw it
)
_STYLE = (
    "<style>html,body{margin:0;height:100%;background:#fff}"
    "iframe{display:block;border:0;width:100%;height:100%}</style>"
)
HEIGHT = 640


def show(text: str, alt: str) -> None:
    """Draw a page of HTML or SVG, with its styles and the pictures that it carries itself.

    Args:
        text: the file's; anything.
        alt: what the frame is, plain text.
    """
    st.iframe(framed(text, alt), height=HEIGHT, alt=alt)
    st.caption(t("artifacts.html.safe"))


def framed(text: str, alt: str) -> str:
    """The page that Streamlit's frame is given to hold.

    Why it is safe. Streamlit's own frame may run scripts with this application's rights, so what
    goes into it is a page of ours that holds nothing but a policy and a second frame. The foreign
    text is an attribute of that frame, escaped so that it cannot end it. The inner frame is
    sandboxed with no permission at all: no script runs, no form is sent, no window opens, no link
    leaves it, and its origin is nobody's, so that it can read nothing of the application. The
    policy of our page holds in it too, since such a frame inherits it: nothing is fetched from
    anywhere, neither by what it contains nor by where it tries to go.
    """
    inner = html.escape(_HEAD + text, quote=True)
    title = html.escape(alt, quote=True)
    frame = f'<iframe sandbox="" referrerpolicy="no-referrer" title="{title}" srcdoc="{inner}">'
    return f"{_HEAD}{_STYLE}</head><body>{frame}</iframe></body></html>"
