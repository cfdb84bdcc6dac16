"""The pages in a real browser: quiet, self-contained, operable by keyboard, readable, printable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest

PATIENCE_MS = 300_000  # not the browser's 30 s: a loaded machine is slow, and a wait ends with what is waited for
PAGES = ["sick/report.html", "blank/report.html", "hostile/report.html", "index.html"]
CONTRAST = """() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || e.closest("script, style, .sheet svg, symbol") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const a = luminance(parse(e instanceof SVGElement ? style.fill : style.color)), b = luminance(behind(e));
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walk.currentNode.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


def opened(browser: Any, path: Path, width: int = 1280) -> tuple[Any, list[str]]:
    """The page in a window of its own, and what it complained of or asked for."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_default_timeout(PATIENCE_MS)
    noise: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("dialog", lambda dialog: (noise.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: None if request.url.startswith(("data:", path.as_uri())) else noise.append(request.url))
    page.goto(path.as_uri())
    return page, noise


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_and_asks_for_nothing(browser: Any, results: Path, name: str) -> None:
    for width in (1280, 390):
        page, noise = opened(browser, results / name, width)
        assert noise == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "runs out of the window"
        pictures = page.evaluate("[...document.images].map((i) => i.complete && i.naturalWidth > 0)")
        assert all(pictures)
        page.close()


@pytest.mark.parametrize("name", PAGES)
def test_text_has_contrast(browser: Any, results: Path, name: str) -> None:
    page, _ = opened(browser, results / name)
    found = page.evaluate(CONTRAST)
    assert len(found) > 20
    assert min(found)[0] >= 4.5, min(found)
    page.close()


@pytest.mark.fault(32)
def test_a_script_that_came_in_would_not_run(browser: Any, results: Path, tmp_path: Path) -> None:
    """Were a name ever not escaped, the page's own policy still forbids its script and its requests."""
    content = (results / "hostile" / "report.html").read_text("utf-8")
    path = tmp_path / "attacked.html"
    path.write_text(
        content.replace("<h1>", "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\"><h1>"), "utf-8"
    )
    page, noise = opened(browser, path)
    assert page.title() != "taken"
    refusals = [line for line in noise if "Content Security Policy" in line]
    assert any("script" in line for line in refusals)
    assert any("image" in line for line in refusals)
    page.close()


def test_findings_are_put_on_and_off_by_keyboard(browser: Any, results: Path) -> None:
    page, _ = opened(browser, results / "sick" / "report.html")
    layer = page.locator(".sheet .layer-necrotic")
    assert layer.is_visible()
    page.focus("#show-necrotic")
    page.keyboard.press("Space")
    assert not layer.is_visible()
    page.keyboard.press("Space")
    assert layer.is_visible()
    normal = page.locator(".sheet .layer-normal")
    assert not normal.is_visible()
    page.focus("#show-normal")
    page.keyboard.press("Space")
    assert normal.is_visible()
    width = page.evaluate("document.querySelector('.sheet').clientWidth")
    page.focus("#zoom-1")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.querySelector('.sheet').clientWidth") == 2 * width
    page.close()


@pytest.mark.parametrize("name", ["sick/report.html", "index.html"])
def test_tab_walks_through_everything_in_order_and_shows_where_it_is(browser: Any, results: Path, name: str) -> None:
    page, _ = opened(browser, results / name)
    controls = "[...document.querySelectorAll('a[href], input, summary, button, [tabindex]')]"
    everything = page.evaluate(f"{controls}.filter((e) => e.type !== 'radio' || e.checked).length")
    places = []
    for _ in range(everything):
        page.keyboard.press("Tab")
        where = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();"
            " return [e.tagName, s.outlineStyle, parseFloat(s.outlineWidth), r.top + scrollY, e.className] })()"
        )
        assert where[0] != "BODY"
        assert where[1] != "none", where
        assert where[2] >= 2, where
        places.append(where)
    assert places[0][4] == "skip"
    page.close()


def test_every_control_and_graphic_has_a_name(browser: Any, results: Path) -> None:
    page, _ = opened(browser, results / "sick" / "report.html")
    assert page.evaluate("[...document.querySelectorAll('input')].every((e) => e.labels.length === 1 && e.labels[0].textContent.trim())")
    assert page.evaluate("[...document.images].every((e) => e.alt)")
    named = "e.getAttribute('aria-label') || e.getAttribute('aria-hidden') === 'true'"
    bare = page.evaluate(f"[...document.querySelectorAll('svg')].filter((e) => !({named})).length")
    assert bare == 0
    page.close()


def test_a_close_up_leads_to_its_place_on_the_section(browser: Any, results: Path) -> None:
    page, _ = opened(browser, results / "sick" / "report.html")
    link = page.locator("a[href^='#at-fibre-']").first
    place = page.locator(link.get_attribute("href"))
    assert not place.is_visible()
    link.click()
    assert place.is_visible()
    box = place.bounding_box()
    assert -1 <= box["y"] <= 800 - box["height"]
    page.close()


def test_the_index_sorts_filters_and_leads_to_the_reports(browser: Any, results: Path) -> None:
    page, noise = opened(browser, results / "index.html")

    def names() -> list[str]:
        visible = "[...document.querySelectorAll('#slides tbody tr')].filter((row) => !row.hidden)"
        return page.evaluate(f"{visible}.map((row) => row.cells[1].textContent.trim())")

    assert names() == ["review", "review", "refused", "failed"]
    page.get_by_role("button", name="status").press("Enter")
    assert names() == ["failed", "refused", "review", "review"]
    page.get_by_role("button", name="necrosis").press("Enter")
    assert names()[:2] == ["review", "review"], "slides without numbers come last"
    page.get_by_role("button", name="necrosis").press("Enter")
    assert names()[:2] == ["review", "review"]
    page.fill("#search", "cut off")
    assert names() == ["failed"]
    assert page.inner_text("#shown") == "1 of 4 shown"
    page.fill("#search", "")
    page.get_by_role("link", name="sick.png").click()
    assert page.title().startswith("sick")
    assert [line for line in noise if not line.startswith("file:")] == []
    page.close()


@pytest.mark.parametrize("name", ["sick/report.html", "index.html"])
def test_printed_pages_say_for_what_use_and_lose_nothing(browser: Any, results: Path, name: str) -> None:
    page, _ = opened(browser, results / name)
    cells = page.evaluate(
        "[...document.querySelectorAll('td, th')].filter((e) => !e.closest('.onscreen')).map((e) => e.innerText.trim()).filter((t) => t)"
    )
    pdf = pypdfium2.PdfDocument(page.pdf(prefer_css_page_size=True))
    page.close()
    texts = [pdf[k].get_textpage().get_text_range() for k in range(len(pdf))]
    assert 1 <= len(texts) <= 12
    assert all("Research use only, not for diagnosis" in text for text in texts)
    assert [round(edge) for edge in pdf[0].get_size()] == [595, 842]
    printed = re.sub(r"\s+|\ufffe|-", "", "".join(texts))
    missing = [cell for cell in cells if re.sub(r"\s+|-", "", cell) not in printed]
    assert missing == []
    for k in range(len(pdf)):  # nothing is cut off at the right: the margin is white
        picture = np.asarray(pdf[k].render(scale=1.0).to_pil().convert("L"))
        assert picture[:, -25:].min() > 245, k
