"""Being built."""


from core.texts import t
from core.ui import parts

parts.title(t("nav.title.endpoints"), "construction")
