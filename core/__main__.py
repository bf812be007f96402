"""Modeldeck from the command line: ``python -m core run|worker|demo|stop|ps|rules|verify``."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from core import logs
from core.errors import DeckError
from core.mlflow_api.credentials import take_over
from core.people import require_safe_identity
from core.people.oidc import require_provider, secrets_file
from core.processes import ROOT
from core.settings import BadSetting, Settings, load, require_home
from core.texts import t

if TYPE_CHECKING:
    from core.ledger.verifying import Verification


def main(arguments: list[str]) -> int:
    """Do what the first argument names; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m core", description=t("cli.about"))
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "worker", "demo", "stop", "ps"):
        commands.add_parser(name, help=t(f"cli.{name}"))
    checker = commands.add_parser("rules", help=t("cli.rules"))
    checker.add_argument("file", nargs="?", type=Path, help=t("cli.rules_file"))
    verifier = commands.add_parser("verify", help=t("cli.verify"))
    one_of = verifier.add_mutually_exclusive_group()
    one_of.add_argument("file", nargs="?", type=Path, help=t("cli.verify_file"))
    one_of.add_argument("--against", metavar="FILE", type=Path, help=t("cli.verify_against"))
    given = parser.parse_args(arguments)
    command = given.command
    logs.setup()
    try:
        settings = load()
        if command == "rules":
            return rules(settings, given.file)
        if command == "verify" and given.file is not None:
            return verify_export(given.file)
        if command != "stop":
            require_home(settings)
        take_over(settings)
        if command == "verify":
            return verify(settings, given.against)
        return _COMMANDS[command](settings)
    except BadSetting as error:
        return _fail(t("cli.bad_setting"), str(error))
    except DeckError as error:
        return _fail(error.title, error.what, error.next_step, error.command)


def run(settings: Settings) -> NoReturn:
    """Become the page server."""
    require_safe_identity(settings, settings.host)
    require_provider(settings)
    hosts = dict.fromkeys(["localhost", "127.0.0.1", settings.host, *settings.allowed_hosts])
    flags: list[tuple[str, object]] = [
        ("server.address", settings.host),
        ("server.port", settings.port),
        ("server.maxUploadSize", settings.upload_mb),
        *(("server.allowedHosts", host) for host in hosts),
    ]
    if settings.identity == "oidc":
        flags.append(("secrets.files", secrets_file(settings)))
    # Streamlit reads .streamlit/config.toml from the folder it stands in.
    os.chdir(ROOT)
    # Uvicorn would believe whatever comes by way of loopback about whom it comes from.
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "")
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    sys.stdout.flush()
    command += [f"--{name}={value}" for name, value in flags]
    os.execv(sys.executable, command)  # noqa: S606 - an argument list made here


def worker(settings: Settings) -> int:
    """Be the worker of this home."""
    from core.lifecycle.worker import main as work

    return work(settings)


def demo(settings: Settings) -> int:
    """Make the sample project here and now; Ctrl-C stops it."""
    from core.lifecycle.deck import open_deck
    from core.lifecycle.sample import make

    stop_asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_asked.set())

    def say(done: int, total: int, what: str) -> None:
        print(f"progress {done}/{total} {what}", flush=True)

    made = make(open_deck(settings), say, stop_asked.is_set)
    print(t("sample.done" if made else "sample.stopped"), flush=True)
    return 0 if made else 128 + signal.SIGTERM


def stop(settings: Settings) -> int:
    """End every process of this home on this machine."""
    from core.lifecycle.deck import open_deck
    from core.lifecycle.running import stop_all

    file = settings.ledger_file
    if file is not None and not file.exists():
        print(t("cli.nothing"))
        return 0
    clean = stop_all(open_deck(settings), lambda line: print(line, flush=True))
    print(t("cli.stopped" if clean else "cli.not_stopped"))
    return 0 if clean else 1


def ps(settings: Settings) -> int:
    """List the processes of this home."""
    from core.lifecycle.deck import open_deck
    from core.lifecycle.running import overview

    for one in overview(open_deck(settings)):
        process = one.process
        print(f"{process.ref.pid:>8}  {process.kind:<12} {process.node}  {one.title}")
    return 0


def rules(settings: Settings, file: Path | None = None) -> int:
    """Check the desk's file, or another; 1 where it has faults."""
    from core.registry.rules_file import check, desk_file

    found = check(settings, file)
    for fault in found.faults:
        print(fault, file=sys.stderr)
    for warning in found.warnings:
        print(t("cli.warning", what=warning))
    if found.rules is None:
        print(t("cli.rules_bad", n=len(found.faults)), file=sys.stderr)
        return 1
    path = file or desk_file(settings)
    print(t("cli.rules_good", file=path) if path else t("cli.rules_built_in"))
    print(t("cli.rules_ladder", rungs=" → ".join(r.name for r in found.rules.ladder.rungs)))
    for rule in found.rules.rules:
        gates = ", ".join(f"{use.gate} ({use.level})" for use in rule.policy.gates)
        shown = {"models": rule.models, "rung": rule.rung, "n": rule.policy.approvals}
        print(t("cli.rules_rule", **shown, gates=gates or t("cli.rules_no_gates")))
    return 0


def verify(settings: Settings, against: Path | None = None) -> int:
    """Verify this home's record with the heads outside of it; 1 where it is not as written.

    Args:
        against: an export that was kept elsewhere; its lines are heads too.
    """
    from core.ledger import exported
    from core.ledger.verifying import verify as verify_record
    from core.lifecycle.deck import open_deck
    from core.registry.heads import gather

    deck = open_deck(settings)
    kept = exported.heads(against) if against is not None else ()
    found = verify_record(deck.ledger, (*gather(deck.desk), *kept))
    return _verified(found, t("cli.verify_heads", n=found.heads))


def verify_export(file: Path) -> int:
    """Check a file of exported lines; 1 where it is not as written."""
    from core.ledger.exported import check_file

    found = check_file(file)
    return _verified(found, t("cli.verify_gaps", n=found.left_out) if found.left_out else "")


def _verified(found: "Verification", more: str) -> int:
    for fault in found.faults:
        print(fault.what, file=sys.stderr)
    if not found.ok:
        shown = len(found.faults)
        if found.faulty > shown:
            print(t("cli.verify_more", shown=shown, n=found.faulty), file=sys.stderr)
        print(t("cli.verify_bad", n=found.lines), file=sys.stderr)
    else:
        print(t("cli.verify_good", n=found.lines))
    for line in (more, t("cli.verify_head", head=found.head) if found.head else ""):
        if line:
            print(line)
    return 0 if found.ok else 1


_COMMANDS: dict[str, Callable[[Settings], int]] = {
    "run": run,
    "worker": worker,
    "demo": demo,
    "stop": stop,
    "ps": ps,
}


def _fail(*lines: str) -> int:
    print("\n".join(line for line in lines if line), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
