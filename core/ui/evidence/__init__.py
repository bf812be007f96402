"""The evidence page: champion against challenger, and the decision."""

from core.ui.evidence.compared import compared
from core.ui.evidence.decision import decision
from core.ui.evidence.head import head
from core.ui.evidence.look import Look, look
from core.ui.evidence.saved import save

__all__ = ["Look", "compared", "decision", "head", "look", "save"]
