"""A headless Chromium, and how to read and click what Bokeh draws."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

LAPTOP = (1360, 900)
PHONE = (390, 844)

# Bokeh draws inside shadow roots, where neither selectors nor innerText look.
_TEXT = """
const gather = node => {
  let text = "";
  for (const child of (node.shadowRoot ?? node).childNodes) {
    if (child.nodeType === Node.TEXT_NODE) text += child.textContent + " ";
    else if (child.tagName && !["STYLE", "SCRIPT"].includes(child.tagName)) text += gather(child);
  }
  return text;
};
return gather(document.body).replace(/\\s+/g, " ");
"""
_DAY = """
const [title, day, row] = arguments;
const look = views => {
  for (const view of views) {
    if (view.model.title?.text === title && view.model.visible) return view;
    const found = look(view.child_views ?? []);
    if (found) return found;
  }
};
const view = look([...Object.values(Bokeh.index.roots)].concat([...Bokeh.index]));
view.el.scrollIntoView({block: "center"});
const box = view.el.getBoundingClientRect(), frame = view.frame.bbox;
const {x_scale, y_scale} = view.frame, {x_range, y_range} = view.model;
return [box.x + frame.left + x_scale.compute(day) - x_scale.compute(x_range.start),
        box.y + frame.top + y_scale.compute(row) - y_scale.compute(y_range.end)];
"""


class Page:
    """One open page.

    Parameters
    ----------
    driver : webdriver.Chrome
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.resize(LAPTOP)

    def open(self, url: str) -> None:
        """Go to an address."""
        self.driver.get(url)

    def resize(self, size: tuple[int, int]) -> None:
        """Make the window that of a laptop or a phone."""
        width, height = size
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
        )

    def text(self) -> str:
        """Return every word on the page."""
        return str(self.driver.execute_script(_TEXT))

    def wait_for(self, what: Callable[[str], object], seconds: float = 60) -> str:
        """Wait until the page's words are as wanted, and return them."""
        deadline = time.monotonic() + seconds
        while not what(text := self.text()):
            assert time.monotonic() < deadline, f"the page does not come to say it: {text[:3000]}"
            time.sleep(0.2)
        return text

    def click_day(self, family: str, day: int, row: int = 0) -> None:
        """Click on a day in the calendar of a family of modes."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        x, y = self.driver.execute_script(_DAY, family, day, row)
        actions = ActionBuilder(self.driver)
        actions.pointer_action.move_to_location(round(x), round(y)).click()
        actions.perform()

    def picture(self, path: Path, size: tuple[int, int]) -> None:
        """Keep a picture of the whole page; also in $COVIS_SCREENSHOTS, for people to look at."""
        self.resize(size)
        time.sleep(1)  # figures take their new width
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        self.resize((size[0], min(height, 5000)))
        time.sleep(1)
        self.driver.save_screenshot(str(path))
        self.resize(size)
        if folder := os.environ.get("COVIS_SCREENSHOTS"):
            shutil.copy(path, folder)

    def too_wide(self) -> int:
        """Return by how many points the page is wider than the window."""
        return int(
            self.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        )

    def complaints(self) -> list[str]:
        """Return what the console has to complain about since the last time."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextmanager
def browser() -> Iterator[Page]:
    """Start a browser, or skip where there is none."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no Chromium here (Debian: chromium and chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="no Selenium here (pip install selenium)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        yield Page(driver)
    finally:
        driver.quit()
