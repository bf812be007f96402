"""Gates: checks that a version passes before it is moved. Each is a file of its own in this folder.

A gate is pure: it decides over evidence that ``core.lifecycle.evidence`` has gathered, and gives
its reason in plain words.
"""

from core.registry.gates.evidence import Evidence
from core.registry.gates.gate import Gate, Result, Status

__all__ = ["Evidence", "Gate", "Result", "Status"]
