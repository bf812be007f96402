"""The artifact brings no code of its own, or the code is named."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from core.registry.gates.evidence import Evidence
from core.registry.gates.gate import Gate, Status, Verdict
from core.texts import t

_NAMED = 10
_PICKLED = "mlflow.pyfunc.model"


@dataclass(frozen=True)
class Options:
    """What is known and fine."""

    allow: tuple[str, ...] = ()
    """Patterns of files and loader modules that may be there, such as ``code/shared/*``."""


def decide(evidence: Evidence, options: Options) -> Verdict:
    """Name the code files, and a loader that is none of MLflow's own."""
    side = evidence.challenger
    loader = side.loader_module
    own = [loader] if loader and not _of_mlflow(loader) else []
    found = [name for name in (*side.code, *own) if not _fine(name, options)]
    inputs = {"code": side.code, "loader_module": loader, "allowed": options.allow}
    pickled = t("gates.code.pickled") if loader == _PICKLED else ""
    if not found:
        key = "allowed" if side.code or own else "none"
        said = t(f"gates.code.{key}", n=len(side.code) + len(own))
        return Verdict(Status.PASS, f"{said} {pickled}".strip(), inputs)
    names = ", ".join(found[:_NAMED])
    more = len(found) - _NAMED
    names = t("gates.code.more", names=names, n=more) if more > 0 else names
    said = t("gates.code.found", n=len(found), names=names)
    return Verdict(Status.FAIL, f"{said} {pickled}".strip(), inputs)


def _of_mlflow(loader: str) -> bool:
    return loader == "mlflow" or loader.startswith("mlflow.")


def _fine(name: str, options: Options) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in options.allow)


GATE = Gate("code_in_artifact", frozenset({"challenger", "files", "signature"}), Options, decide)
