"""The script that every visit runs: who is here, the menu, then the page.

It is the application's main script, and there is no ``pages/`` folder beside it: Streamlit would
run such pages directly on a cold visit, past this shell.
"""

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent.parent)
if ROOT not in sys.path:  # Streamlit puts this script's own folder first, not the project's
    sys.path.insert(0, ROOT)

import streamlit as st  # noqa: E402

from core.texts import t  # noqa: E402
from core.ui import door  # noqa: E402
from core.ui.deck import deck, own_deck  # noqa: E402
from core.ui.errors import settled  # noqa: E402
from core.ui.navigation import pages  # noqa: E402
from core.ui.parts import say_done  # noqa: E402

PICTURES = Path(__file__).parent

# Set before the menu is made: a page's Material icon as the tab's icon would be fetched from a
# font server on the internet.
st.set_page_config(page_icon=str(PICTURES / "icon.svg"), layout="wide")
welcome = door.open_for(own_deck())
chosen = st.navigation(pages(), position="sidebar" if welcome else "hidden", expanded=True)
st.set_page_config(page_title=f"{chosen.title} · {t('nav.app')}")
st.logo(PICTURES / "logo.svg", size="large")
if welcome:
    with st.sidebar:
        door.who_is_here(deck())
    say_done()
    chosen.run()
    settled()
else:
    door.closed(own_deck().settings)
