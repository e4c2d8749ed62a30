"""What people do with the console, in a real browser on the whole application."""

import csv
import io
import re
import zipfile
from typing import Any

import pytest
from playwright.sync_api import expect

from local.process import ROOT
from local.quantemplate import Control
from tests.console.browser import WIDE
from tests.console.console import Console
from tests.end_to_end.road import Road, Route
from tests.end_to_end.test_sets import Gathering, gathering

__all__ = ["gathering"]
from tests.end_to_end.stack import make_route

STATES = [
    "Release?",
    "CheckFile",
    "FileChecked?",
    "TakeTurn",
    "UploadAndExecute",
    "WaitForPipeline",
    "CheckStatus",
    "PipelineFinished?",
    "DownloadOutputs",
    "DownloadOutput",
    "OutputStored?",
    "OutputStored",
    "PublishRun",
]
CLAIMS = ROOT / "local" / "samples" / "claims_may.csv"
TEXT = "Reference,Amount\nA-1,10\n"


@pytest.fixture
def never_ending(stand_in: Control, copy_route: Route) -> Route:
    """A route whose next run goes on until somebody ends it."""
    plan = {"never_ends": True}
    stand_in.trouble("execute_pipeline", "run", id=copy_route.pipeline_id, run=plan)
    return copy_route


def end_of(route: Route, stand_in: Control) -> None:
    """End the run of a route's pipeline that goes on, once it does."""
    runs: Any = Road.until(lambda: stand_in.pipelines()[route.pipeline_id]["runs"], "a run")
    stand_in.finish(runs[-1]["id"])


def test_the_table_that_was_made_of_a_file_is_shown_beside_the_outputs(
    console: Console, road: Road, stand_in: Control
) -> None:
    # Given a route that takes the table out of what people send
    route = make_route(road, stand_in, "Copy: Sheet 1", table={})
    # When a file with a title and a total is processed
    text = "Bordereau\n\nReference,Amount\nA-1,10\nA-2,20\nTotal,30\n"
    run = road.processed(f"{route.name}/march.csv", text.encode())
    console.open(f"runs/{run.name}")
    # Then what was sent is seen there
    console.press("What was sent")
    expect(console.page.locator(".preview")).to_contain_text("All 2 rows.")
    assert console.table() == [["Reference", "Amount"], ["A-1", "10"], ["A-2", "20"]]


def test_a_file_that_is_chosen_is_followed_to_its_outputs(console: Console, road: Road) -> None:
    # Given the console, by its shortest address
    console.page.goto(f"{road.endpoint}/_local/console")
    # When a person chooses a file for a route
    console.choose("claims", CLAIMS)
    # Then its run opens by itself and succeeds
    console.shows("Succeeded")
    expect(console.listed("claims/claims_may.csv")).to_have_attribute("aria-current", "true")
    # and every state of the picture is lit
    assert console.lit("done") == STATES
    # with what went in and out
    console.page.locator('.picture [data-state="CheckFile"]').click()
    assert console.data("Input")["key"] == "claims/claims_may.csv"
    assert console.data("Output")["route"] == "claims"
    console.page.locator('.picture [data-state="TakeTurn"]').click()
    assert console.data("Output")["turn"]["queue"] == "p-claims"
    # and the picture opens so large that its words can be read, at that state
    state = console.page.locator('.picture [data-state="TakeTurn"] .name')
    console.page.set_viewport_size({"width": 390, "height": 860})
    console.press("Enlarge")
    expect(state).to_be_in_viewport()
    assert state.evaluate("name => name.getScreenCTM().a * 13") >= 11  # pixels of its letters
    assert not console.barriers()
    console.page.keyboard.press("Escape")
    expect(console.page.get_by_role("dialog")).to_have_count(0)
    console.page.set_viewport_size(WIDE)
    console.is_of(console.run)
    # and its first output as a table, as it lies in the outbox
    (key,) = (k for k in road.stored_keys(f"claims/claims_may/{console.run}/Clean") if k)
    stored = list(csv.reader(io.StringIO(road.stored(key).decode())))
    expect(console.page.locator(".preview")).to_contain_text("The first 50 rows of 347.")
    assert console.table() == [[cell.strip() for cell in row] for row in stored[:51]]
    # and another that is saved byte for byte
    console.press("Mapping report: Sheet 1")
    expect(console.page.locator(".preview")).to_contain_text("All 12 rows.")
    with console.page.expect_download() as download:
        console.page.get_by_role("link", name="Save Mapping report: Sheet 1").click()
    assert download.value.suggested_filename.startswith("Mapping report")
    (key,) = road.stored_keys(f"claims/claims_may/{console.run}/Mapping")
    assert download.value.path().read_bytes() == road.stored(key)


def test_a_set_is_on_the_front_while_it_waits(console: Console, gathering: Gathering) -> None:
    # Given a set of which one file has come
    first = gathering.processed("claims", TEXT.encode())
    # When a person opens the page, then it says who is missing, and leads to who is there
    awaited = console.open().page.get_by_role("region", name="What should come")
    line = awaited.locator("li").filter(has_text=f"route {gathering.name} ")
    expect(line).to_contain_text("set 2026-05has waited for premiums-{period}.csv since")
    link = line.get_by_role("link", name=f"{gathering.name}/claims-2026-05.csv")
    expect(link).to_have_attribute("href", f"#/runs/{first.name}")
    # And when the other has come, then nobody is waited for any more
    gathering.processed("premiums", TEXT.encode())
    expect(line).to_have_count(0)


def test_files_that_are_dragged_onto_a_route_run_one_after_the_other(
    console: Console, stand_in: Control, never_ending: Route
) -> None:
    # When two files are dropped on a route
    console.open().drop(never_ending.name, april=TEXT, may=TEXT)
    # Then both are in the list of that route
    console.page.get_by_label("Only runs of this route").select_option(never_ending.name)
    expect(console.page.locator("#runs a.run")).to_have_count(2)
    # and the queue tells who holds the turn and who waits
    console.page.get_by_role("link", name="Queues").click()
    queue = console.page.get_by_role("region", name=f"Queue {never_ending.pipeline_id}")
    expect(queue).to_contain_text("1 file waits")
    expect(queue.get_by_role("link")).to_have_count(2)
    (first, second) = (link.inner_text() for link in queue.get_by_role("link").all())
    # When the first one's run has ended
    end_of(never_ending, stand_in)
    # Then both succeed
    for name in (first, second):
        console.open(f"runs/{name}").shows("Succeeded")
    assert {"april", "may"} == {re.sub(r"^.*-(\w+)-\w+$", r"\1", name) for name in (first, second)}


def test_what_would_start_nothing_is_told_and_not_uploaded(
    console: Console, road: Road, copy_route: Route
) -> None:
    # Given a name that is ignored, and a file without a byte
    console.open().choose(copy_route.name, {"name": "~$may.csv", "mimeType": "", "buffer": b"x"})
    drops = console.page.locator(".drops")
    expect(drops).to_contain_text("would start nothing: its name fits ~$*")
    console.choose(copy_route.name, {"name": "may.csv", "mimeType": "", "buffer": b""})
    # Then each is told of, and neither lies in the inbox
    expect(drops).to_contain_text("may.csv is empty: Quantemplate takes no empty file.")
    found = road.client("s3").list_objects_v2(Bucket=road.inbox, Prefix=f"{copy_route.name}/")
    assert "Contents" not in found


def test_a_run_that_fails_says_what_to_do_and_is_redriven_and_run_again(
    console: Console, copy_route: Route
) -> None:
    # Given a stand-in that is told to let the next run fail
    console.open("switches").press("Set: The next run fails")
    expect(console.page.get_by_role("region", name="What is waiting")).to_contain_text(
        "The next run fails"
    )
    # When a file is dropped
    console.open().drop(copy_route.name, may=TEXT)
    # Then the run fails where it did, and says what to do
    console.shows("Failed")
    notice = console.page.locator(".notice")
    expect(notice).to_contain_text("PipelineFailed at CheckStatus")
    expect(notice).to_contain_text("What to do: Look in Quantemplate. To run it again, Redrive")
    assert console.lit("failed") == ["CheckStatus"]
    expect(console.page.locator(".outputs")).to_contain_text("ended before it was published")
    result = console.page.get_by_label("Only runs with this result")
    result.select_option("Ended badly")
    expect(console.listed(f"{copy_route.name}/may.csv")).to_have_count(1)
    result.select_option("All results")
    # When it is redriven
    failed = console.run
    console.press("Redrive")
    # Then the same run succeeds
    console.shows("Succeeded")
    console.is_of(failed)
    expect(console.page.locator(".facts")).to_contain_text("1 time")
    assert "CheckStatus" in console.lit("done")
    assert console.table() == [["Reference", "Amount"], ["A-1", "10"]]
    # When it is run again
    console.press("Run again")
    # Then the same version goes through a new run
    expect(console.page.locator(".head code")).to_contain_text("-again-")
    console.shows("Succeeded")
    console.page.locator('.step[data-key="Release?"]').click()
    again = console.data("Input")
    # and the way back leads to the first
    console.page.go_back()
    console.is_of(failed)
    console.page.locator('.step[data-key="Release?"]').click()
    assert console.data("Input")["version_id"] == again["version_id"]


def test_a_run_is_stopped_where_it_waits_and_goes_on_by_a_redrive(
    console: Console, stand_in: Control, never_ending: Route
) -> None:
    # Given a run whose pipeline does not end
    console.open().drop(never_ending.name, may=TEXT)
    console.shows("Running")
    expect(console.page.locator(".picture .current")).to_have_count(1)
    expect(console.page.locator(".told")).to_contain_text("If you stop it now")
    # and the current state's bar reaches the end of the run's time
    reach = "bar => parseFloat(bar.style.left) + parseFloat(bar.style.width)"
    assert console.page.locator(".bars .current").evaluate(reach) == pytest.approx(100, abs=0.1)
    # When it is stopped
    console.press("Stop")
    # Then it says so, in words and in the picture
    console.shows("Aborted")
    expect(console.page.locator(".notice")).to_contain_text("To go on, Redrive.")
    assert len(console.lit("stopped")) == 1
    assert not console.lit("current")
    # and goes on by a redrive
    console.press("Redrive")
    console.shows("Running")
    end_of(never_ending, stand_in)
    console.shows("Succeeded")


def test_what_a_gate_holds_is_released(console: Console, road: Road, stand_in: Control) -> None:
    # Given a gate, set by its switch
    report = "Validation report: Sheet 1"
    route = make_route(road, stand_in, report)
    console.open("switches").press(f"Set: {route.name} is held by rows in {report}")
    expect(
        console.page.get_by_role("button", name=f"Put right: {route.name} is held by rows")
    ).to_be_visible()
    # When a file's report has rows
    console.open().drop(route.name, may=TEXT)
    # Then the run is held, and shows why
    console.shows("Held")
    expect(console.page.locator(".notice")).to_contain_text(f"'{report}' has 1 row.")
    assert console.table()[1] == ["A-1", "10"]
    held = console.run
    # When it is released
    console.press("Release")
    # Then a run of its own publishes it
    expect(console.page.locator(".head code")).to_contain_text("-release-")
    console.shows("Succeeded")
    assert console.lit("done") == ["Release?", "PublishRun"]
    assert console.table()[1] == ["A-1", "10"]
    release = console.run
    # and the held one tells who did it, and offers it no more
    console.page.go_back()
    console.is_of(held)
    expect(console.page.locator(".notice")).to_contain_text(f"It was released by {release}")
    expect(console.page.get_by_role("button", name="Release", exact=True)).to_have_count(0)
    # and the gate is put right
    console.open("switches").press(f"Put right: {route.name} is held by rows in {report}")
    road.until(lambda: "hold_if_rows" not in document_of(road, route), "a route without a gate")


def test_a_runs_outputs_are_saved_as_one_file_and_its_log_is_read(
    console: Console, road: Road, copy_route: Route
) -> None:
    # Given a run that succeeded
    console.open().drop(copy_route.name, may=TEXT)
    console.shows("Succeeded")
    # When all that came back is saved
    with console.page.expect_download() as download:
        console.press("Save all")
    # Then the file has each output and the manifest, byte for byte
    keys = road.stored_keys(f"{copy_route.name}/may/{console.run}/")
    with zipfile.ZipFile(download.value.path()) as saved:
        assert saved.testzip() is None
        found = {name: saved.read(name) for name in saved.namelist()}
    assert found == {key.rpartition("/")[2]: road.stored(key) for key in keys}
    # and what the functions have logged of it can be read
    console.page.get_by_text("Log lines").click()
    lines = console.page.get_by_role("region", name="Log lines")
    expect(lines).to_contain_text("Pipeline succeeded")
    assert copy_route.name in lines.inner_text()


def document_of(road: Road, route: Route) -> str:
    """A route's document."""
    found = road.client("ssm").get_parameter(Name=f"{road.routes_path}/{route.name}")
    return str(found["Parameter"]["Value"])


def test_a_queue_is_paused_and_resumed(console: Console, copy_route: Route) -> None:
    # Given a queue that is paused for a reason
    console.open("queues")
    name = copy_route.pipeline_id
    queue = console.page.get_by_role("region", name=f"Queue {name}", exact=True)
    queue.get_by_label("Why").fill("month end")
    console.press(f"Pause {name}")
    expect(queue).to_contain_text("month end. No further file begins until it is resumed.")
    # When a file is dropped
    console.open().drop(copy_route.name, may=TEXT)
    # Then it waits for its turn
    expect(console.page.locator(".told")).to_contain_text("It waits for its turn")
    # until the queue is resumed
    console.page.get_by_role("link", name="Who holds it").click()
    expect(queue).to_contain_text("1 file waits")
    console.press(f"Resume {name}")
    expect(queue).not_to_contain_text("Paused")
    console.page.go_back()
    console.shows("Succeeded")


def test_rejected_credentials_pause_the_queue_until_they_are_put_right(
    console: Console, copy_route: Route
) -> None:
    # Given a stand-in that rejects the credentials
    console.open("switches").press("Set: The credentials are rejected")
    put_right = console.page.get_by_role("button", name="Put right: The credentials are rejected")
    expect(put_right).to_be_visible()
    # When a file is dropped
    console.open().drop(copy_route.name, may=TEXT)
    # Then its run fails, and its queue says why it is paused
    console.shows("Failed")
    expect(console.page.locator(".notice")).to_contain_text("CredentialsRejected")
    expect(console.page.locator(".notice")).to_contain_text("put it right under Switches")
    failed = console.run
    console.open("queues")
    queue = console.page.get_by_role("region", name=f"Queue {copy_route.pipeline_id}", exact=True)
    expect(queue).to_contain_text("ended with CredentialsRejected")
    # When they are put right and the run is redriven
    console.open("switches")
    put_right.click()
    expect(put_right).to_have_count(0)
    console.open(f"runs/{failed}").press("Redrive")
    # Then it succeeds, and the queue goes on
    console.shows("Succeeded")
    console.open("queues")
    expect(queue).not_to_contain_text("Paused")


def test_each_switch_is_an_order_that_the_stand_in_takes(
    console: Console, stand_in: Control
) -> None:
    # When each switch is set
    console.open("switches")
    expect(console.page.get_by_role("region", name="Access")).to_be_visible()
    for group in ("The next run", "The next outputs", "The API"):
        for button in (
            console.page.get_by_role("region", name=group, exact=True).get_by_role("button").all()
        ):
            before = len(stand_in.troubles())
            button.click()
            expect(button).not_to_have_attribute("aria-disabled", "true")
            assert len(stand_in.troubles()) > before
    # Then all are waiting, in words, until it is told to behave
    waiting = console.page.get_by_role("region", name="What is waiting")
    for words in ("takes 30 s", "never ends", "is cancelled", "break off", "answered 503, 2 times"):
        expect(waiting).to_contain_text(words)
    assert "meet" not in waiting.inner_text()
    console.press("Behave again")
    expect(waiting).to_contain_text("No switch is set.")
    assert not stand_in.troubles()


def test_events_are_switched_and_their_deliveries_shown(
    console: Console, stand_in: Control, copy_route: Route
) -> None:
    # Given that nobody has subscribed, and a dataset that no route uploads to
    stand_in.define_dataset("d-of-others")
    console.open("switches")
    card = console.page.get_by_role("region", name="Events", exact=True)
    expect(card).to_contain_text("nobody has subscribed")
    # When somebody has who does not answer, and others update it
    stand_in.events(url="http://127.0.0.1:9/events/a-secret-key")
    console.press("Update: d-of-others")
    # Then the failure is shown, and not the address, which holds a key
    expect(card).to_contain_text("DatasetUpdated d-of-others: failed: ConnectionError")
    expect(card).to_contain_text("0 taken, 1 failed")
    expect(card).not_to_contain_text("a-secret-key")
    # When each switch is set that stays
    waiting = console.page.get_by_role("region", name="What is waiting")
    for text, setting in {
        "Events come twice": ("twice", 1),
        "Every other event is lost": ("lost", 0.5),
        "All events are lost": ("lost", 1),
        "Events come a minute late": ("late", 60),
        "Events come out of order": ("scattered", 20),
        "Events of others' executions come between": ("strangers", 1),
        "Events come in the short envelope": ("envelope", "short"),
    }.items():
        console.press(f"Set: {text}")
        expect(console.page.get_by_role("button", name=f"Put right: {text}")).to_be_visible()
        expect(waiting).to_contain_text(text)
        assert stand_in.events()[setting[0]] == setting[1]
    console.press(f"Set: {copy_route.pipeline_id} is not shared with the whole organisation")
    expect(waiting).to_contain_text(f"There are no events of {copy_route.pipeline_id}")
    # Then all are put right together, and the subscription stays
    console.press("Behave again")
    expect(waiting).to_contain_text("No switch is set.")
    after = stand_in.events(url="")
    assert (after["twice"], after["lost"], after["late"], after["envelope"]) == (0, 0, 0, "long")
    assert stand_in.pipelines()[copy_route.pipeline_id]["shared_with_all"]


def test_everything_is_reached_by_keyboard(console: Console, copy_route: Route) -> None:
    keys = console.page.keyboard

    def tab_to(what: str) -> None:
        for _ in range(300):  # all that a page has, with the routes and runs of other tests
            keys.press("Tab")
            if console.page.evaluate(
                "document.activeElement.innerText || document.activeElement.value"
            ).startswith(what):
                return
        raise AssertionError(f"Tab does not lead to {what}")

    # Given two runs
    # The browser is told from the start to tell of file choosers: Enter may be faster than that.
    console.page.on("filechooser", lambda _chooser: None)
    console.open().drop(copy_route.name, april=TEXT, may=TEXT)
    console.page.get_by_label("Only runs of this route").select_option(copy_route.name)
    expect(console.page.locator("#runs a.run").filter(has_text="Succeeded")).to_have_count(2)
    console.page.reload()
    expect(console.listed(copy_route.name)).to_have_count(2)
    # When somebody has only keys
    tab_to("Choose files")
    with console.page.expect_file_chooser():
        keys.press("Enter")
    tab_to("✓")
    first = console.page.evaluate("document.activeElement.dataset.key")
    keys.press("ArrowDown")
    second = str(console.page.evaluate("document.activeElement.dataset.key"))
    assert second != first
    keys.press("Enter")
    # Then the second run opens, with its states
    console.is_of(second)
    console.shows("Succeeded")
    tab_to("✓\nRelease?")
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(console.page.locator(".visit h4")).to_have_text("CheckFile")
    assert console.page.evaluate("document.activeElement.dataset.key") == "CheckFile"
    # and where the focus is can be seen
    width = "parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
    assert console.page.evaluate(width) >= 2
    # and what it says is run again
    console.page.locator("body").evaluate("body => body.ownerDocument.activeElement.blur()")
    tab_to("Run again")
    keys.press("Enter")
    expect(console.page.locator(".head code")).to_contain_text("-again-")


def test_what_a_file_holds_is_never_html(console: Console, copy_route: Route) -> None:
    # Given a file whose name and cells are HTML
    evil = "<img src=x onerror=window.hacked=1>"
    rows = [["<b>Head</b>", 'a "quoted", cell'], [evil, "<script>window.hacked=2</script>"]]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    name = "<svg onload=window.hacked=3>.csv"
    # When it is dropped
    content = {"name": name, "mimeType": "text/csv", "buffer": text.getvalue().encode()}
    console.open().choose(copy_route.name, content)
    console.shows("Succeeded")
    # Then name and cells are shown as they are
    expect(console.page.locator(".head h2")).to_have_text(f"{copy_route.name}/{name}")
    expect(console.page.locator(".preview td")).to_have_count(2)
    assert console.table() == rows
    assert console.page.locator("main img, main script").count() == 0
    assert console.page.evaluate("window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_from_using_it(
    console: Console, copy_route: Route, stand_in: Control, scheme: Any
) -> None:
    # Given a run that failed and one that is going on
    console.page.emulate_media(color_scheme=scheme)
    plans = [{"end_status": "Failed"}, {"never_ends": True}]
    for plan in plans:
        stand_in.trouble("execute_pipeline", "run", id=copy_route.pipeline_id, run=plan)
    console.open().drop(copy_route.name, april=TEXT)
    console.shows("Failed")
    # When its views are looked at, wide and narrow
    assert console.barriers() == []
    console.drop(copy_route.name, may=TEXT)
    expect(console.page.locator(".picture .current")).to_have_count(1)
    assert console.barriers() == []
    end_of(copy_route, stand_in)
    console.shows("Succeeded")
    expect(console.page.locator(".preview table")).to_be_visible()
    assert console.barriers() == []
    for view in ("queues", "switches"):
        console.open(view)
        expect(console.page.locator("main .card").last).to_be_visible()
        assert console.barriers() == []
    console.page.set_viewport_size({"width": 390, "height": 844})
    console.open("runs")
    expect(console.page.locator("#runs a.run").first).to_be_visible()
    # Then no rule of accessibility is broken, and nothing is wider than the window
    assert console.barriers() == []
    assert console.page.evaluate("document.documentElement.scrollWidth") <= 390
    # and the scheme is followed
    shade = console.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(str(shade).removeprefix("rgb(").split(",")[0])
    assert (red < 60) == (scheme == "dark")
