"""Makes the pictures of the console that open the README, light and dark.

python emulator/docs/screenshot.py http://127.0.0.1:PORT/-/projects/P/…/endpoints/ID docs/console

The first is the page of an endpoint with two versions under load, which `nox -s load` prints.
"""

import os
import shutil
import sys

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1280, 960
SETTLED = 2000  # milliseconds, until charts are drawn


def main(url: str, target: str) -> None:
    """Writes `target`-light.png and `target`-dark.png."""
    browser = os.environ.get("CONSOLE_BROWSER") or shutil.which("chromium")
    with sync_playwright() as driver:
        # Chromium's own sandbox needs rights that root in a container does not have.
        running = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = running.new_page(
                color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT}
            )
            page.goto(url)
            page.wait_for_timeout(SETTLED)
            page.screenshot(path=f"{target}-{scheme}.png")
        running.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
