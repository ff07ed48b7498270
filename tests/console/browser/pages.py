"""The console as its user sees and operates it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_S = 20

# The control that a label names: by `for`, by its content or by aria-label.
LABELLED = """
const wanted = arguments[0], all = [...document.querySelectorAll('label')].filter(l => l.textContent.trim() === wanted);
const of = l => l.htmlFor ? document.getElementById(l.htmlFor) : l.querySelector('input');
return all.map(of).filter(e => e && (e.offsetParent || e.type === 'radio'));
"""
NAMELESS = """
const labelled = e => e.labels && [...e.labels].some(l => l.textContent.trim());
const captioned = e => e.tagName === 'TABLE' && e.caption;
const spoken = e => e.ariaLabel || e.title || e.getAttribute('aria-labelledby');
const named = e => spoken(e) || e.textContent.trim() || labelled(e) || captioned(e);
return [...document.querySelectorAll('a, button, input, select, textarea, [role=img], table')]
  .filter(e => e.offsetParent && e.type !== 'hidden' && !named(e)).map(e => e.outerHTML);
"""
CONTRAST = """
const rgb = c => c.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => { const f = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
const texts = 'h1, h2, p, a, button, label, legend, th, td, dt, dd, small, .badge, .callout, pre';
return [...document.querySelectorAll(texts)]
  .filter(e => e.offsetParent && e.textContent.trim() && !e.disabled)
  .map(e => { const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.tagName + ' ' + e.textContent.slice(0, 40)]; })
  .filter(([ratio]) => ratio < 4.5);
"""


class Browser:
    def __init__(self, chrome: Chrome, url: str) -> None:
        self.chrome = chrome
        self.url = url

    def open(self, path: str) -> None:
        """Open a page and wait until its content is there, and the connection to the console."""
        self.chrome.get(self.url + path)
        self.wait(
            lambda: self.script("return window.socket && window.socket.connected && !!document.querySelector('#main')")
        )

    def script(self, source: str, *arguments: Any) -> Any:
        return self.chrome.execute_script(source, *arguments)

    def wait(self, condition: Callable[[], Any]) -> Any:
        ignored = [StaleElementReferenceException]
        return WebDriverWait(self.chrome, PATIENCE_S, 0.05, ignored).until(lambda _: condition())

    @property
    def text(self) -> str:
        found: str = self.script("return document.body.innerText")
        return found

    def see(self, *texts: str) -> None:
        """Wait until the page shows the texts."""
        for text in texts:
            try:
                self.wait(partial(self._shows, text))
            except Exception as error:
                raise AssertionError(f"{text!r} is not in the page:\n{self.text}") from error

    def _shows(self, text: str) -> bool:
        return text in self.text

    def field(self, label: str) -> WebElement:
        found: WebElement = self.wait(lambda: self.script(LABELLED, label))[0]
        return found

    def fill(self, label: str, text: str) -> None:
        """Replace the content of a field, with the keyboard."""
        field = self.field(label)
        if field.tag_name == "select":
            field.send_keys(text)
            return
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.DELETE)
        field.send_keys(text)

    def choose(self, label: str) -> None:
        """Choose one of several options, or tick a box."""
        self.script("arguments[0].focus(); arguments[0].click()", self.field(label))

    def press(self, name: str) -> None:
        """Press a button by its text or its spoken name."""
        find = """return [...document.querySelectorAll('button, a')].filter(e => e.offsetParent && !e.disabled &&
            (e.textContent.trim() === arguments[0] || e.ariaLabel === arguments[0]))"""
        button = self.wait(lambda: self.script(find, name))[-1]
        self.script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", button)
        self.keys(Keys.ENTER)

    def keys(self, *keys: str) -> None:
        actions = ActionChains(self.chrome)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def type_into_dialog(self, text: str) -> None:
        """Wait until the dialog has the focus, type and press Enter."""
        self.wait(lambda: self.script("return document.activeElement.matches('.dialog input')"))
        self.keys(text, Keys.ENTER)

    def fill_last(self, label: str, text: str, *more: str) -> None:
        """Type into the last visible control with this label."""
        found = self.wait(lambda: self.script(LABELLED, label))
        self.script("arguments[0].focus()", found[-1])
        self.keys(text, *more)

    def rows(self, caption: str) -> list[list[str]]:
        """The cells of a table, without the boxes to tick."""
        found: list[list[str]] = self.script(
            """const t = [...document.querySelectorAll('table')].find(t => t.caption?.textContent === arguments[0]);
            const cells = r => [...r.cells].filter(c => !c.matches('.check')).map(c => c.textContent.trim());
            return t ? [...t.tBodies[0].rows].map(cells) : []""",
            caption,
        )
        return found

    def faults(self) -> list[str]:
        """The errors that the browser reports."""
        return [one["message"] for one in self.chrome.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]

    def nameless(self) -> list[str]:
        """Controls that a screen reader could not name."""
        found: list[str] = self.script(NAMELESS)
        return found

    def pale(self) -> list[Any]:
        """Texts with less contrast than 4.5 to 1."""
        found: list[Any] = self.script(CONTRAST)
        return found
