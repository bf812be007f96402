"""One run: params, metrics, curves, artifacts, and the versions made from it."""

from core.ui import runs_page
from core.ui.navigation import asked

run = runs_page.found(asked("run"))
runs_page.head(run)
runs_page.sections(run)
