"""Makes sure that the browser tests have a Chromium, and prints where it is.

Run as ``python -m tests.browser_setup``. One that is on PATH is used; else Debian's package is
installed, where this is allowed; else Playwright's own build is downloaded.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-liberation")


def find() -> Path | None:
    """The executable of a Chromium that starts, or None."""
    on_path = [Path(found) for name in NAMES if (found := shutil.which(name))]
    return next((path for path in [*on_path, *_of_playwright()] if _starts(path)), None)


def main() -> int:
    """Find a Chromium or install one; 0 when there is one at the end."""
    for install in (None, _by_apt, _by_playwright):
        if install is not None:
            install()
        path = find()
        if path is not None:
            print(f"The browser tests use {path}")
            return 0
    print(
        "No Chromium was found and none could be installed. Install one by hand (on Debian: "
        "apt-get install chromium), so that `chromium` is on PATH.",
        file=sys.stderr,
    )
    return 1


def _by_apt() -> None:
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None:
        return
    print(f"No Chromium on PATH: installing {' '.join(PACKAGES)} with apt-get", flush=True)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        subprocess.run([apt, "--quiet", "--quiet", *step], env=quiet, check=False)


def _by_playwright() -> None:
    print("No Chromium from packages: downloading Playwright's own", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def _of_playwright() -> list[Path]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return [path] if path.exists() else []


def _starts(path: Path) -> bool:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, timeout=60, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
