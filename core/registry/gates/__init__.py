"""Gates: checks that a version passes before it is moved. Each is a file of its own in this folder.

A gate is pure: it decides over evidence that ``core.lifecycle.evidence`` has gathered, and gives
its reason in plain words. A file is a gate by having a ``GATE``; nothing else names it.
"""

from core.registry.gates.evidence import Evidence
from core.registry.gates.finding import all_gates, title, with_own
from core.registry.gates.gate import Gate, Result, Status, Verdict
from core.registry.gates.judging import judge, needs

__all__ = [
    "Evidence",
    "Gate",
    "Result",
    "Status",
    "Verdict",
    "all_gates",
    "judge",
    "needs",
    "title",
    "with_own",
]
