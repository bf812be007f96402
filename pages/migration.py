"""Off stages: from MLflow's deprecated stages to aliases and tags, for all models or one."""

from core.texts import t
from core.ui import migration, parts
from core.ui.navigation import link

parts.title(t("nav.title.migration"), "move_down", t("migration.caption"))
migration.about()
if not migration.working():  # else what is there changes from moment to moment
    found = migration.plans()
    if not found:
        parts.empty(t("migration.none"), "task_alt")
    elif all(one.done for one in found):
        parts.empty(t("migration.all_written", n=sum(one.staged for one in found)), "task_alt")
    else:
        chosen = migration.choose(found)
        migration.act(chosen)
        migration.tables(chosen)
link("models", t("migration.back"), icon=":material/deployed_code:")
