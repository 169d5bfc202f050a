"""A window of a real browser in which nothing may go wrong, for the tests of every page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOADING_MS = 120_000
"""A machine that is busy with other things takes long to draw; a quiet one less than a second."""
INJECTION = '</script><script>document.title="broken"</script><img src=x onerror=\'document.title="broken"\'>'


@contextmanager
def watched_page(browser: Browser, own: str) -> Iterator[Page]:
    """A fresh window; at its end nothing may have been complained about, and nothing loaded from elsewhere.

    Args:
        browser: That it is a window of.
        own: How the addresses begin that the page may ask for.
    """
    page = browser.new_page()
    page.set_default_timeout(LOADING_MS)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    yield page
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith((own, "data:", "blob:"))] == []
