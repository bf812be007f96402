"""The script that every visit runs: who is here, the menu, then the page.

It is the application's main script, and there is no ``pages/`` folder beside it: Streamlit would
run such pages directly on a cold visit, past this shell.
"""

import re
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent.parent)
if ROOT not in sys.path:  # Streamlit puts this script's own folder first, not the project's
    sys.path.insert(0, ROOT)

import streamlit as st  # noqa: E402

from core.texts import t  # noqa: E402
from core.ui.deck import deck  # noqa: E402
from core.ui.errors import settled  # noqa: E402
from core.ui.markup import md  # noqa: E402
from core.ui.navigation import pages  # noqa: E402
from core.ui.parts import say_done  # noqa: E402

PICTURES = Path(__file__).parent

# Set before the menu is made: a page's Material icon as the tab's icon would be fetched from a
# font server on the internet.
st.set_page_config(page_icon=str(PICTURES / "icon.svg"), layout="wide")
chosen = st.navigation(pages())
st.set_page_config(page_title=f"{chosen.title} · {t('nav.app')}")
st.logo(PICTURES / "logo.svg", size="large")
here = deck()
with st.sidebar:
    # Without its scheme a server's address is not taken for a link, and reads as well.
    address = re.sub(r"^https?://", "", here.mlflow.address)
    st.caption(md("shell.where", address=address, person=here.actor.name))
say_done()
chosen.run()
settled()
