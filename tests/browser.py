"""A real Chromium for tests of pages: started offline and fresh, watched for errors and requests, closed at the end."""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions",
    "--force-color-profile=srgb", "--hide-scrollbars",
)  # fmt: skip
PHONE, DESK = (375, 812), (1280, 900)
OWN = ("data:", "blob:", "about:", "chrome:", "chrome-extension:", "devtools:")
"""What a browser asks of itself."""


def programs() -> tuple[str, str]:
    """The paths of Chromium and of its driver; the test is skipped, with the reason, where one is absent."""
    browser = os.environ.get("HARNESS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    driver = os.environ.get("HARNESS_CHROMEDRIVER") or shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("pages need Chromium: apt-get install chromium chromium-driver")
    return browser, driver


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A driver of a Chromium of its own, whose profile lies in the empty folder `profile`."""
    browser, driver = programs()
    webdriver = pytest.importorskip("selenium.webdriver", reason="pages need selenium: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        running.set_page_load_timeout(60)
        yield running
    finally:
        running.quit()


class Tab:
    """What a test does with a page, and what it saw go wrong there."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, *, size: tuple[int, int] = DESK, dark: bool = False, script: bool = True) -> Tab:
        """Opens the file as a person does who clicks on it, in a window of that size, in a light or a dark scheme."""
        self.size(size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        self.driver.get("about:blank")
        self.complaints()
        self.requests()
        self.driver.get(page.as_uri())
        return self

    def size(self, size: tuple[int, int]) -> None:
        """Gives the page that many pixels to lie in."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def js(self, code: str, *words: Any) -> Any:
        """What a piece of script returns."""
        return self.driver.execute_script(code, *words)

    def until(self, code: str) -> bool:
        """Whether a piece of script comes to return something true within five seconds."""
        end = time.monotonic() + 120
        while not self.js(code):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def texts(self, selector: str) -> list[str]:
        """The texts of the elements that can be seen, in their order."""
        found = (
            "[...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => e.innerText.trim())"
        )
        return self.js(f"return {found}", selector)

    def click(self, selector: str) -> None:
        """Clicks on the first such element, which must be in sight."""
        self.driver.find_element("css selector", selector).click()

    def type(self, selector: str, text: str) -> None:
        """Types into the first such element, after what stands there is gone."""
        field = self.driver.find_element("css selector", selector)
        field.clear()
        field.send_keys(text)

    def choose(self, selector: str, text: str) -> None:
        """Chooses an option of a list by its text."""
        from selenium.webdriver.support.select import Select

        Select(self.driver.find_element("css selector", selector)).select_by_visible_text(text)

    def press(self, *keys: str) -> None:
        """Presses keys one after the other, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def focused(self) -> str:
        """The text of what has the focus, or the name of its element."""
        return self.js("const e = document.activeElement; return (e.innerText || e.id || e.tagName).trim()")

    def complaints(self) -> list[str]:
        """What the console has said since the last call: errors of the script, refusals by the page's policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call, the browser's own aside."""
        seen = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [one["params"]["request"]["url"] for one in seen if one["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(OWN)]

    def picture(self, path: Path, *, whole: bool = False) -> Path:
        """Keeps what is seen, or the whole page, as a PNG."""
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": whole, **self._clip(whole)}
        )
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        box = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        return {"clip": {**box, "scale": 1}}
