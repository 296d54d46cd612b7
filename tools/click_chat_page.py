"""Uses the chat page of `starling serve` as a person does, in headless Chromium: types, sends, reads along, stops, begins
anew, looks at the nodes. Called by tools/check page; by hand:
tools/click_chat_page.py build/starling MODEL [--pictures FOLDER]. Needs the package playwright and Debian's chromium (or
playwright's own). Prints a line per check; with --pictures it leaves the page in light and dark, wide and narrow."""
import argparse
import pathlib
import re
import shutil
import subprocess

from playwright.sync_api import expect, sync_playwright

options = argparse.ArgumentParser()
options.add_argument("program")
options.add_argument("model")
options.add_argument("--pictures", type=pathlib.Path)
options = options.parse_args()

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
# A link that takes a moment makes an answer slow enough to be stopped in the middle.
SERVER = [options.program, "serve", options.model, "--http", "127.0.0.1:0", "--nodes", "local:2", "--link", "delay=2ms", "--template", "mistral-v3"]


class Page:
    """The page in one window, and what its console complained about."""

    def __init__(self, browser, url, size, scheme):
        self.context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=size is PHONE, is_mobile=size is PHONE)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda r: self.complaints.append(f"{r.url}: {r.failure}") if "completions" not in r.url else None)
        self.page.goto(url)
        expect(self.page.locator("#light")).to_have_class("up", timeout=10_000)
        # Every run reads the same answers.
        self.settings(True)
        self.page.get_by_label("Temperature").fill("0")
        self.settings(False)

    def __getattr__(self, name):
        return getattr(self.page, name)

    def settings(self, shown):
        """On a narrow page they are behind a button."""
        button = self.page.get_by_role("button", name="Cluster")
        if button.is_visible() and (button.get_attribute("aria-expanded") == "true") != shown:
            (button if shown else self.page.get_by_role("button", name="Close")).click()

    def longest(self, tokens):
        self.settings(True)
        self.page.get_by_label("Longest answer, in tokens").fill(str(tokens))
        self.settings(False)

    def say(self, text):
        self.page.get_by_label("Message").fill(text)
        self.page.get_by_role("button", name="Send").click()

    def answers(self):
        return self.page.locator(".turn.assistant")

    def finished(self, count):
        expect(self.answers()).to_have_count(count)
        expect(self.page.get_by_role("button", name="Send")).to_be_visible(timeout=60_000)

    def cluster(self):
        return self.page.evaluate("fetch('cluster').then(answer => answer.json())")

    def fits(self):
        """Nothing is wider than the window, and nothing is cut off that has no scroll bar."""
        return self.page.evaluate("document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight")

    def close(self):
        assert not self.complaints, self.complaints
        self.context.close()


def answer_streams(page):
    page.longest(120)
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    page.say("Tell me about a little bird")
    expect(page.locator(".turn.user .text")).to_have_text("Tell me about a little bird")
    lengths = set()
    while page.get_by_role("button", name="Stop").is_visible():
        lengths.add(len(page.answers().last.locator(".text").inner_text()))
        page.wait_for_timeout(30)
    assert len(lengths) > 5, f"the answer came in {len(lengths)} pieces"
    page.finished(1)
    about = page.answers().last.locator(".about").inner_text()
    tokens, rate = re.fullmatch(r"(\d+) tokens, ([\d.]+) tokens/s, first after [\d.]+ s", about).groups()
    assert int(tokens) == 120 and float(rate) > 0, about


def nodes_are_shown(page):
    page.settings(True)
    expect(page.locator(".node")).to_have_count(2)
    for node in page.locator(".node").all():
        assert re.search(r"[\d.]+ [KM]iB", node.locator(".held").inner_text()), node.inner_text()
        assert re.search(r"\d+ % of every layer", node.locator(".detail").inner_text()), node.inner_text()
        widths = [node.locator(part).bounding_box()["width"] for part in (".bar .w", ".bar .k")]
        assert min(widths) >= 1, widths
    page.settings(False)


def rate_is_live(page):
    """Tokens per second are shown while an answer is being written, and are 0 some time after."""
    page.longest(400)
    page.say("And then?")
    page.settings(True)
    rate = page.locator("#rate")
    expect(rate).not_to_have_text("0", timeout=5_000)
    page.settings(False)
    page.get_by_role("button", name="Stop").click()
    page.finished(2)
    page.settings(True)
    expect(rate).to_have_text("0", timeout=5_000)
    page.settings(False)


def stop_ends_the_computation(page):
    page.longest(480)
    page.say("A very long story")
    expect(page.answers().last.locator(".text")).to_have_text(re.compile(".{20}"), timeout=10_000)
    page.get_by_role("button", name="Stop").click()
    page.finished(3)
    expect(page.answers().last.locator(".about")).to_have_text("stopped")
    text, tokens = page.answers().last.locator(".text").inner_text(), page.cluster()["generated_tokens"]
    page.wait_for_timeout(300)
    after = page.cluster()
    assert after["running"] == 0 and after["generated_tokens"] <= tokens + 2, after
    assert page.answers().last.locator(".text").inner_text() == text


def talk_outlives_a_reload(page):
    page.reload()
    expect(page.answers()).to_have_count(3)


def enter_sends_and_a_new_chat_is_empty(page):
    page.longest(5)
    page.get_by_label("Message").fill("Hello")
    page.get_by_label("Message").press("Shift+Enter")
    page.get_by_label("Message").press("Enter")
    page.finished(4)
    page.get_by_role("button", name="New chat").click()
    expect(page.answers()).to_have_count(0)
    expect(page.locator("#empty")).to_be_visible()
    page.reload()
    expect(page.locator("#empty")).to_be_visible()


def a_new_chat_ends_the_answer_under_way(page):
    page.longest(400)
    page.say("Go on")
    expect(page.answers().last.locator(".text")).to_have_text(re.compile(".{10}"), timeout=10_000)
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    page.wait_for_timeout(300)
    expect(page.answers()).to_have_count(0)
    assert page.cluster()["running"] == 0
    page.reload()
    expect(page.locator("#empty")).to_be_visible()
    page.longest(5)


def problems_are_said(page):
    """A message that the model has no room for is answered with the server's words."""
    page.say("word " * 2000)
    expect(page.locator(".problem")).to_contain_text("context", timeout=10_000)
    page.complaints[:] = [c for c in page.complaints if "400" not in c]
    page.get_by_role("button", name="New chat").click()


def nothing_overflows(page):
    assert page.fits()
    page.say("unbreakable" * 30)
    page.finished(1)
    page.evaluate("render(document.querySelector('.turn.assistant .text'), 'Code:\\n```cpp\\n' + 'wide '.repeat(60) + '\\n```\\nand ' + 'x'.repeat(300))")
    assert page.fits()
    page.get_by_role("button", name="New chat").click()


CHECKS = (answer_streams, nodes_are_shown, rate_is_live, stop_ends_the_computation, talk_outlives_a_reload, enter_sends_and_a_new_chat_is_empty,
          a_new_chat_ends_the_answer_under_way, problems_are_said, nothing_overflows)


def picture(browser, url, size, scheme, name):
    page = Page(browser, url, size, scheme)
    page.screenshot(path=options.pictures / f"{name}-{scheme}-empty.png")
    page.longest(90)
    page.say("Tell me a story about a bird that could not fly")
    page.finished(1)
    page.say("Why was it sad?")
    page.finished(2)
    page.longest(400)
    page.say("And what did its friends do? Answer at length, and do not leave out how they got up the tree.")
    page.wait_for_timeout(1500)
    page.screenshot(path=options.pictures / f"{name}-{scheme}.png")
    page.get_by_role("button", name="Stop").click()
    page.finished(3)
    if size is PHONE:
        page.settings(True)
        page.screenshot(path=options.pictures / f"{name}-{scheme}-cluster.png")
    page.close()


def click(url):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, size in (("wide", WIDE), ("phone", PHONE)):
            page = Page(browser, url, size, "light")
            for check in CHECKS:
                check(page)
                print("ok", name, check.__name__, flush=True)
            page.close()
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                for scheme in ("light", "dark"):
                    picture(browser, url, size, scheme, name)
        browser.close()


server = subprocess.Popen(SERVER, stdout=subprocess.PIPE, text=True)
try:
    ready = next(line for line in server.stdout if line.startswith("ready"))
    click(ready.split()[-1])
finally:
    server.terminate()
    status = server.wait(timeout=60)
assert status == 0, f"the server ended with status {status}"
print("the chat page works")
