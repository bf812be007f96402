"""One run: params, metrics, curves, artifacts, and the versions made from it."""

from core.ui import run as run_page
from core.ui.navigation import asked

run = run_page.found(asked("run"))
run_page.head(run)
run_page.sections(run)
