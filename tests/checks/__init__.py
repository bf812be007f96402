"""Checks of what no other tool reads: documents, texts, pins and the compose file.

``python -m tests.checks`` runs them all. Each check returns its faults as sentences, none when all
is well, and takes what it reads as arguments, so that the tests can show it something broken.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
