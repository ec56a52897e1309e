"""The dashboard in a real browser: what only a browser can show. Everything else is tested below, without one.

The tests share a server; each that decides something has a patch of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from core.status import PatchStatus
from remend.service.orders import OrderResult, answer, waiting

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; it is in the dev extra")
expect = api.expect
expect.set_options(timeout=20_000)

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()
PAGES = (
    "/",
    "/?show=trials",
    "/incidents",
    "/incidents/inc_wait",
    "/robots",
    "/robots/arm-1",
    "/robots/arm-2",
    "/audit?check=true",
    "/learning",
    "/people",
    "/status",
    "/nothing-here",
    "/deployments/pat_canary",
    "/deployments/pat_active",
    *(f"/patches/pat_{name}" for name in ("wait", "high", "expired", "inconclusive", "active", "canary", "validating")),
)
LOOKS = {"light": {}, "dark": {"color_scheme": "dark"}, "forced colours": {"forced_colors": "active"}}
COLOURS = "color-contrast", "link-in-text-block"  # all that a look can change
WITHOUT_A_ROLE = "/patches/pat_wait", "/robots/arm-1", "/incidents/inc_wait", "/people", "/deployments/pat_canary"
ZOOMS = {"at 320 px": 320, "at 200 %": 640}  # of a window of 1280 px


def wrong(page: Any, *rules: str) -> list[str]:
    """What axe finds against WCAG 2.2 AA, with everything unfolded; `rules` alone, if some are named."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.evaluate(AXE + ";0")
    only = (
        {"type": "rule", "values": rules}
        if rules
        else {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
    )
    found = page.evaluate("(only) => axe.run(document, { runOnly: only, resultTypes: ['violations'] })", only)
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in found["violations"]]


def status_of(served: Any, patch_id: str) -> PatchStatus:
    status: PatchStatus = served.service.store.patch(patch_id).status
    return status


def faults(page: Any) -> list[str]:
    """What is wrong with what a page shows, in every look and at every zoom; nothing is loaded anew."""
    found = []
    for look, how in LOOKS.items():
        page.emulate_media(**{"color_scheme": "light", "forced_colors": "none", **how})
        found += [f"{look}: {each}" for each in (wrong(page) if look == "light" else wrong(page, *COLOURS))]
    page.emulate_media(color_scheme="light", forced_colors="none")
    for zoom, width in ZOOMS.items():
        page.set_viewport_size({"width": width, "height": 640})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{wide} px too wide {zoom}"] if wide > 0 else []
    page.set_viewport_size({"width": 1280, "height": 720})
    return found


@pytest.mark.parametrize("name", ["anna", "vera"])
def test_pages_are_accessible_in_every_look_and_fit_every_window(visit: Any, name: str) -> None:
    page = visit("/", name)
    found = {}
    for path in PAGES if name == "anna" else WITHOUT_A_ROLE:
        page.goto(path)
        found[path] = faults(page)
    assert {path: each for path, each in found.items() if each} == {}


def test_doors_are_accessible(visit: Any, served: Any) -> None:
    page = visit("/setup?token=x")
    assert wrong(page) == []
    page.context.clear_cookies()
    page.goto(served.address)
    expect(page).to_have_url(f"{served.address}/sign-in")
    assert wrong(page) == []


def test_approve_starts_the_trial(visit: Any, served: Any) -> None:
    page = visit("/")
    page.locator(".go[href='/patches/pat_wait']").click()
    button = page.locator("button.effect")
    expect(button).to_have_accessible_name("Record the decision")
    assert page.locator("[name=decision]:checked").count() == 0
    page.get_by_role("radio", name="Approve").check()
    expect(button).to_have_accessible_name("Start the trial on arm-1")
    page.get_by_role("radio", name="Reject").check()
    expect(button).to_have_accessible_name("Reject this patch")
    page.get_by_role("radio", name="Approve").check()
    page.get_by_label("Reason").fill("agreed")
    button.click()
    expect(page.locator(".decision")).to_contain_text("otto approved this patch: agreed.")
    assert status_of(served, "pat_wait") is PatchStatus.APPROVED


def test_without_scripts_a_patch_can_be_approved(visit: Any, served: Any) -> None:
    page = visit("/patches/pat_1", java_script_enabled=False)
    page.get_by_role("radio", name="Approve").check()
    page.get_by_label("Reason").fill("agreed")
    page.locator("button.effect").click()
    expect(page.locator(".decision")).to_contain_text("otto approved this patch")
    assert status_of(served, "pat_1") is PatchStatus.APPROVED


def test_with_the_keyboard_alone_a_patch_can_be_approved(visit: Any, served: Any) -> None:
    page = visit("/patches/pat_2")
    page.keyboard.press("d")
    expect(page.locator("#decision")).to_be_focused()
    assert status_of(served, "pat_2") is PatchStatus.AWAITING_APPROVAL
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("radio", name="Approve")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("d, and j, and ? are letters here")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".decision")).to_contain_text("d, and j, and ? are letters here")
    assert status_of(served, "pat_2") is PatchStatus.APPROVED


def test_a_rejection_needs_a_reason_and_loses_nothing(visit: Any, served: Any) -> None:
    page = visit("/patches/pat_3")
    page.get_by_role("radio", name="Reject").check()
    page.locator("button.effect").click()
    expect(page.locator(".decision .alert")).to_contain_text("A rejection needs a reason")
    expect(page.get_by_role("radio", name="Reject")).to_be_checked()
    page.get_by_label("Reason").fill("the arm is being serviced")
    page.locator("button.effect").click()
    expect(page.locator(".decision")).to_contain_text("otto rejected this patch: the arm is being serviced.")
    assert status_of(served, "pat_3") is PatchStatus.REJECTED


def test_a_stale_page_decides_nothing_and_keeps_what_was_typed(visit: Any, served: Any) -> None:
    page = visit("/patches/pat_4")
    page.get_by_role("radio", name="Approve").check()
    page.get_by_label("Reason").fill("typed for a minute")
    page.evaluate("document.querySelector('[name=report_sha]').value = '0'.repeat(64)")
    page.locator("button.effect").click()
    expect(page.get_by_role("alert").first).to_contain_text("the report changed", ignore_case=True)
    expect(page.get_by_role("alert").first).to_contain_text("000000000000")
    expect(page.get_by_label("Reason")).to_have_value("typed for a minute")
    assert page.locator("[name=decision]:checked").count() == 0
    assert status_of(served, "pat_4") is PatchStatus.AWAITING_APPROVAL


def test_a_live_update_keeps_focus_and_text_and_says_that_the_page_is_old(visit: Any, served: Any) -> None:
    page = visit("/patches/pat_5")
    page.get_by_label("Reason").fill("half a sen")
    served.service.store.move(
        "pat_5", PatchStatus.AWAITING_APPROVAL, PatchStatus.EXPIRED, "service", "nobody decided within 24 h"
    )
    expect(page.locator("#standing")).to_contain_text("expired")
    expect(page.locator("#moved")).to_be_visible()
    page.keyboard.type("tence")
    expect(page.get_by_label("Reason")).to_have_value("half a sentence")
    expect(page.get_by_label("Reason")).to_be_focused()


def test_the_inbox_follows_what_happens(visit: Any, served: Any) -> None:
    page = visit("/")
    row = page.locator(".go[href='/patches/pat_6']")
    expect(row).to_be_visible()
    served.service.store.move(
        "pat_6", PatchStatus.AWAITING_APPROVAL, PatchStatus.EXPIRED, "service", "nobody decided within 24 h"
    )
    expect(row).to_have_count(0)


def test_a_lost_line_is_told_and_forms_still_work(visit: Any) -> None:
    page = visit("/status")
    page.route("**/api/v1/events", lambda route: route.abort())
    page.goto("/robots/arm-1")
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("main").get_by_role("button", name="Roll arm-1 back")).to_be_enabled()


def test_freeze_is_one_press_from_every_page_and_thawing_takes_an_admin(visit: Any) -> None:
    page = visit("/incidents/inc_wait", "vera")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.get_by_role("button", name="Freeze patching").click()
    expect(page.get_by_text("Patching is frozen by vera")).to_be_visible()
    assert page.url.endswith("/incidents/inc_wait")
    page = visit("/patches/pat_high", "anna")
    expect(page.get_by_role("radio", name="Approve")).to_be_disabled()
    page.get_by_text("Thaw", exact=True).click()
    assert wrong(page) == []
    page.get_by_role("button", name="Let patching go on").click()
    expect(page.get_by_role("button", name="Freeze patching")).to_be_visible()


def test_roll_back_is_one_form_and_its_answer_comes_by_itself(visit: Any, served: Any) -> None:
    page = visit("/robots/arm-1")
    page.get_by_label("Reason").fill("it shakes")
    page.locator("main").get_by_role("button", name="Roll arm-1 back").click()
    expect(page.locator("#order")).to_contain_text("there is no answer yet")
    store = served.service.store
    with store.reading() as connection:
        (order,) = waiting(connection, "arm-1")
    assert (order.actor, order.reason) == ("otto", "it shakes")
    with store.journal("robot") as journal:
        answer(journal, order, OrderResult(order_id=order.id, done=True, what="the robot is back", at_ns=1))
    expect(page.locator("#order")).to_contain_text("the robot is back")


def test_hold_and_roll_back_are_one_press_from_every_page(visit: Any, served: Any) -> None:
    page = visit("/incidents/inc_wait")
    frame = page.get_by_role("banner")
    expect(frame).to_contain_text("Neither is an emergency stop.")
    frame.get_by_role("button", name="Hold arm-2").click()
    expect(page).to_have_url(re.compile(r"/robots/arm-2\?order=ord_"))
    page.goto("/audit")
    frame.get_by_role("button", name="Roll arm-2 back").click()
    expect(page).to_have_url(re.compile(r"/robots/arm-2\?order=ord_"))
    with served.service.store.reading() as connection:
        assert [order.verb.value for order in waiting(connection, "arm-2")] == ["hold", "roll_back"]
    page = visit("/incidents/inc_wait", "vera")
    expect(page.get_by_role("banner").get_by_role("button", name="Hold arm-2")).to_have_count(0)


def test_live_charts_run_and_grow_old(visit: Any, served: Any) -> None:
    page = visit("/robots/arm-1")
    expect(page.locator(".plots canvas")).to_have_count(3)
    expect(page.locator("#live-says")).to_be_empty()
    served.talks = False
    try:
        expect(page.locator("#live-says")).to_contain_text("No data from arm-1")
        expect(page.locator("#standing")).to_contain_text("No data from arm-1")
    finally:
        served.talks = True


def test_one_slider_moves_both_pictures(visit: Any) -> None:
    page = visit("/patches/pat_active")
    film = page.locator("[data-film]").first
    slider = film.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    expect(film.locator("img:visible")).to_have_count(2)
    expect(film.locator("img").nth(0)).to_be_visible()
    expect(film.locator("img").nth(6)).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(film.locator("img").nth(1)).to_be_visible()
    expect(film.locator("img").nth(7)).to_be_visible()
    expect(film.locator("img").nth(0)).to_be_hidden()
    page.keyboard.press("]")
    expect(page.get_by_role("slider").nth(1)).to_be_focused()


def test_keys_help_and_can_be_switched_off(visit: Any, served: Any) -> None:
    page = visit("/incidents")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("[data-rows] .go").nth(1)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Shortcuts are on").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.reload()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.url == f"{served.address}/incidents"
