"""What users do with the console, in a real browser and with the keyboard alone."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pages import Browser  # type: ignore[import-not-found]
from selenium.webdriver import Keys
from websocket import WebSocketBadStatusException, create_connection

from atoll import testing

TITLE = "document.title='broken in'"
EVIL = f'</script><script>{TITLE}</script><img src=x onerror="{TITLE}">`${{{TITLE}}}`'
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
PAGES = {
    "/": "Orders",
    "/create-table": "Local secondary indexes",
    "/partiql": "Nothing was run yet",
    "/capacity": "Units of the last hour",
    "/streams": "Orders",
    "/triggers": "No table has a trigger",
    "/backups": "first-backup",
    "/regions": "Replicated tables",
    "/storage": "By table",
    "/clock": "Rotate the shards of a stream",
    "/table/Orders/items": "50 items of 50 read",
    "/table/Orders/item": "New item",
    '/table/Orders/item?key={"id":{"S":"o007"}}': "5 attributes",
    "/table/Orders/settings": "arn:aws:dynamodb:us-east-1:000000000000:table/Orders",
    "/table/Orders/indexes": "by-state",
    "/table/Orders/stream": "Live tail",
    "/table/Orders/ttl": "Expires next",
    "/table/Orders/capacity": "Read units a second",
    "/table/Orders/backups": "Point-in-time recovery",
}


@pytest.fixture(scope="session", autouse=True)
def orders(server: testing.LocalServer):
    client = server.client()
    client.create_table(
        TableName="Orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "state")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-state",
                "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=STREAM,
    )
    client.update_time_to_live(TableName="Orders", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    now = int(server.clock.time())
    for number in range(120):
        item = {
            "id": {"S": f"o{number:03}"},
            "state": {"S": "paid" if number % 3 else "open"},
            "total": {"N": str(number)},
            "note": {"S": EVIL},
            "until": {"N": str(now + 30 * 24 * 3600 + number)},
        }
        client.put_item(TableName="Orders", Item=item)
    client.update_continuous_backups(
        TableName="Orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    client.create_backup(TableName="Orders", BackupName="first-backup")
    client.update_table(TableName="Orders", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    server.settle()
    server.clock.advance("2m")


def get(url: str, **headers: str) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def item_of(server: testing.LocalServer, key: str) -> dict:
    return server.client().get_item(TableName="Orders", Key={"id": {"S": key}}).get("Item", {})


class TestEachPage:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize("path", PAGES)
    def test_it_shows_its_content_to_everyone(self, browser: Browser, path: str, theme: str):
        browser.chrome.get(browser.url + "/console-static/icon.svg")
        browser.script("localStorage.theme = arguments[0]", theme)
        browser.open(path)
        browser.see(PAGES[path])
        assert browser.script("return document.documentElement.dataset.theme") == theme
        assert browser.script("return document.querySelectorAll('h1').length") == 1
        for always in (browser.url.rpartition(":")[0], "000000000000"):
            assert always in browser.text
        assert browser.script("return document.querySelector('#region').value") == "us-east-1"
        assert browser.nameless() == []
        assert browser.pale() == []
        assert "broken in" not in browser.chrome.title

    def test_the_first_page_s_html_holds_the_names_of_tables(self, browser: Browser):
        status, page = get(browser.url + "/")
        assert status == 200 and "Orders" in page

    def test_nothing_comes_from_another_host(self, browser: Browser):
        browser.open("/table/Orders/items")
        hosts = browser.script("return performance.getEntriesByType('resource').map(e => new URL(e.name).origin)")
        assert set(hosts) == {browser.url}

    def test_a_table_that_is_not_there(self, browser: Browser):
        browser.open("/table/Nothing/items")
        browser.see("ResourceNotFoundException")


class TestKeyboard:
    def test_every_control_of_a_page_is_reached_by_tab(self, browser: Browser):
        browser.open("/table/Orders/settings")
        wanted = browser.script(
            """return [...document.querySelectorAll('a, button, input, select, textarea')]
               .filter(e => !e.disabled && (e.type === 'radio' ? e.checked : e.offsetParent)).length"""
        )
        seen = set()
        for _ in range(wanted + 5):
            browser.keys(Keys.TAB)
            seen.add(browser.script("return document.activeElement.outerHTML.slice(0, 300)"))
            outlined = browser.script(
                """const e = document.activeElement, s = getComputedStyle(e), n = e.nextElementSibling;
                return s.outlineStyle !== 'none' || (n && getComputedStyle(n).outlineStyle !== 'none')"""
            )
            assert outlined or browser.script("return document.activeElement === document.body")
        assert len(seen) >= wanted

    def test_the_first_link_skips_to_the_content(self, browser: Browser):
        browser.open("/")
        browser.keys(Keys.TAB, Keys.ENTER)
        browser.wait(lambda: browser.script("return document.activeElement.id") == "main")

    def test_arrows_move_between_rows(self, browser: Browser):
        browser.open("/table/Orders/items")
        first = browser.rows("Items")[0][0]
        browser.script("document.querySelector('[data-row=\"0\"]').focus()")
        browser.keys(Keys.ARROW_DOWN)
        assert browser.script("return document.activeElement.textContent") == browser.rows("Items")[1][0] != first
        browser.keys(Keys.ENTER)
        browser.see("Add attribute")


class TestTables:
    def test_create_and_delete(self, browser: Browser, server: testing.LocalServer):
        browser.open("/create-table")
        browser.fill("Name", "Fresh")
        browser.fill("Sort key, if it has one", "at")
        browser.choose("Provisioned")
        browser.see("'ReadCapacityUnits': 5")
        browser.press("Create table")
        browser.see("Partition key", "5 read, 5 write")
        assert [
            one["AttributeName"] for one in server.client().describe_table(TableName="Fresh")["Table"]["KeySchema"]
        ] == ["id", "at"]
        browser.press("Delete table")
        browser.see("Type Fresh to confirm")
        browser.type_into_dialog("Fres")
        browser.see("Type Fresh first")
        browser.keys("h", Keys.ENTER)
        browser.wait(lambda: browser.chrome.current_url == browser.url + "/")
        assert "Fresh" not in server.client().list_tables()["TableNames"]

    def test_a_refusal_is_shown(self, browser: Browser):
        browser.open("/create-table")
        browser.fill("Name", "x")
        browser.press("Create table")
        browser.see("ValidationException")

    def test_filter(self, browser: Browser):
        browser.open("/")
        browser.fill("Filter", "nothing like it")
        browser.wait(lambda: browser.rows("Tables") == [])


class TestItems:
    def test_query_of_an_index_with_a_filter(self, browser: Browser):
        browser.open("/table/Orders/items")
        browser.choose("Query")
        browser.fill("In", "by-state")
        browser.wait(lambda: browser.field("Partition key").get_attribute("value") == "state")
        browser.field("Value").send_keys("open")
        browser.press("Add filter")
        browser.fill_last("Attribute", "total")
        browser.fill_last("Condition", "≥")
        browser.fill_last("Type", "Number")
        browser.fill_last("Value", "100", Keys.ENTER)
        browser.see("6 items of 40 read")
        browser.choose("PartiQL")
        browser.see('SELECT * FROM "Orders"."by-state"\nWHERE "state" = \'open\' AND "total" >= 100')
        browser.choose("AWS CLI")
        browser.see("aws dynamodb query")

    def test_pages(self, browser: Browser):
        browser.open("/table/Orders/items")
        first = browser.rows("Items")
        browser.press("Next")
        browser.see("page 2")
        browser.press("Next")
        browser.see("page 3 · 20 items")
        browser.press("Previous")
        browser.see("page 2")
        browser.press("Previous")
        browser.wait(lambda: browser.rows("Items") == first)

    def test_download(self, browser: Browser):
        browser.open("/table/Orders/items")
        url = browser.script("return [...document.links].find(a => a.textContent === 'Download CSV').href")
        status, text = get(url)
        assert status == 200 and text.splitlines()[0].startswith("id,state,total,note,until")
        assert sum(line.startswith("o") for line in text.splitlines()) == 120
        assert get(browser.url + "/table/Orders/items.csv?search=%7B")[0] == 400

    def test_a_new_item_in_every_type(self, browser: Browser, server: testing.LocalServer):
        wanted = {
            "id": {"S": "all types"}, "n": {"N": "1.50"}, "b": {"B": "AP8="}, "yes": {"BOOL": True},
            "none": {"NULL": True}, "m": {"M": {"deep": {"L": [{"S": EVIL}]}}}, "ss": {"SS": ["a", "b"]},
            "ns": {"NS": ["1", "2"]},
        }  # fmt: skip
        browser.open("/table/Orders/item")
        browser.choose("JSON")
        browser.fill("DynamoDB JSON", json.dumps(wanted))
        browser.choose("Attributes")
        browser.wait(
            lambda: browser.script("return [...document.querySelectorAll('input')].some(e => e.value === 'ss')")
        )
        browser.press("Create item")
        browser.see("8 attributes")
        assert item_of(server, "all types") == {**wanted, "n": {"N": "1.5"}, "b": {"B": b"\x00\xff"}}
        browser.open("/table/Orders/item")
        browser.choose("JSON")
        browser.fill("DynamoDB JSON", '{"id": {"S": "all types"}}')
        browser.press("Create item")
        browser.see("An item with this key exists. Nothing was written.")
        browser.open('/table/Orders/item?key={"id":{"S":"all types"}}')
        browser.press("Delete item")
        browser.see("if nobody changed it")
        browser.press("Delete item")
        browser.see("Download CSV")
        assert item_of(server, "all types") == {}

    def test_an_edit_does_not_overwrite_another_s(self, browser: Browser, server: testing.LocalServer):
        browser.open('/table/Orders/item?key={"id":{"S":"o001"}}')
        server.client().update_item(
            TableName="Orders", Key={"id": {"S": "o001"}}, UpdateExpression="SET #s = :theirs",
            ExpressionAttributeNames={"#s": "state"}, ExpressionAttributeValues={":theirs": {"S": "theirs"}},
        )  # fmt: skip
        browser.choose("JSON")
        mine = json.loads(browser.field("DynamoDB JSON").get_attribute("value"))
        browser.fill("DynamoDB JSON", json.dumps({**mine, "total": {"N": "1000"}}))
        browser.press("Save")
        browser.see("Another client changed the item after you opened it. Nothing was written.", "theirs")
        assert item_of(server, "o001")["total"] == {"N": "1"}
        browser.press("Keep my edit, on top of theirs")
        browser.see("Check the item and save again")
        browser.press("Save")
        browser.see("Saved")
        assert item_of(server, "o001")["total"] == {"N": "1000"}
        assert item_of(server, "o001")["state"] == {"S": "theirs"}

    def test_chosen_items_are_deleted_unless_they_changed(self, browser: Browser, server: testing.LocalServer):
        client = server.client()
        for number in range(4):
            client.put_item(TableName="Orders", Item={"id": {"S": f"x{number}"}, "state": {"S": "to delete"}})
        search = {"index": "by-state", "partition": {"name": "state", "value": "to delete"}}
        browser.open("/table/Orders/items?search=" + urllib.parse.quote(json.dumps(search)))
        browser.wait(lambda: sorted(row[0] for row in browser.rows("Items")) == ["x0", "x1", "x2", "x3"])
        browser.script("document.querySelector('[aria-label=\"All rows\"]').click()")
        left = browser.rows("Items")[3][0]
        browser.script("document.querySelector('[aria-label=\"Row 4\"]').click()")
        changed = browser.rows("Items")[0][0]
        client.put_item(TableName="Orders", Item={"id": {"S": changed}, "state": {"S": "changed"}})
        browser.press("Delete selected")
        browser.see("3 items are deleted, each if nobody changed it since it was shown.")
        browser.press("Delete items")
        browser.see("2 items deleted", "1 items were changed by another client, and are kept")
        browser.wait(lambda: [row[0] for row in browser.rows("Items")] == [left])
        assert item_of(server, changed)["state"] == {"S": "changed"}
        assert browser.script("return document.querySelectorAll('.check input:checked').length") == 0
        for key in (left, changed):
            client.delete_item(TableName="Orders", Key={"id": {"S": key}})

    def test_long_and_odd_items(self, browser: Browser, server: testing.LocalServer):
        client = server.client()
        client.put_item(TableName="Orders", Item={"id": {"S": "long/ü?&#"}, "text": {"S": "ü" * 190_000}})
        wide = {f"a{number}": {"N": str(number)} for number in range(3_000)}
        client.put_item(TableName="Orders", Item={"id": {"S": "wide"}, **wide})
        client.put_item(TableName="Orders", Item={"id": {"S": "huge"}, "l": {"L": [{"NULL": True}] * 100_000}})
        for key in ("long/ü?&#", "wide"):
            browser.open("/table/Orders/item?key=" + urllib.parse.quote(json.dumps({"id": {"S": key}})))
            field = browser.field("DynamoDB JSON")
            assert len(field.get_attribute("value") or "") > 60_000
            field.send_keys(Keys.CONTROL, Keys.END)
            field.send_keys(Keys.BACKSPACE, ', "more": {"BOOL": true}}')
            browser.press("Save")
            browser.see("Saved")
            assert item_of(server, key)["more"] == {"BOOL": True}
        browser.open('/table/Orders/item?key={"id":{"S":"huge"}}')
        browser.see("too long to be edited here")
        browser.open("/table/Orders/items")
        browser.see("more follow")
        for key in ("long/ü?&#", "wide", "huge"):
            client.delete_item(TableName="Orders", Key={"id": {"S": key}})

    def test_a_value_that_is_none_is_refused_in_place(self, browser: Browser):
        browser.open('/table/Orders/item?key={"id":{"S":"o002"}}')
        browser.choose("JSON")
        browser.fill("DynamoDB JSON", '{"id": {"S": "o002"}, "total": {"N": "many"}}')
        browser.press("Save")
        browser.see("total: 'many' is not a number")


class TestPartiQL:
    def test_a_statement_its_result_and_the_history(self, browser: Browser):
        browser.open("/partiql")
        field = browser.field("PartiQL (Ctrl+Enter runs it)")
        field.send_keys("SELECT id, total FROM Orders WHERE id = 'o005'")
        field.send_keys(Keys.CONTROL, Keys.ENTER)
        browser.see("1 items")
        assert browser.rows("Result") == [["o005", "5"]]
        browser.fill("PartiQL (Ctrl+Enter runs it)", "SELECT nonsense")
        browser.press("Run")
        browser.see("ValidationException")
        browser.open("/partiql")
        browser.field("History").send_keys("SELECT id, total")
        browser.wait(lambda: "o005" in (browser.field("PartiQL (Ctrl+Enter runs it)").get_attribute("value") or ""))


class TestLive:
    def test_the_tail_follows_a_split_and_compares_images(self, browser: Browser, server: testing.LocalServer):
        browser.open("/table/Orders/stream")
        before = browser.script("return document.querySelectorAll('svg .node').length")
        browser.press("Start")
        browser.see("Waiting for records")
        browser.press("Split shards")
        browser.wait(lambda: browser.script("return document.querySelectorAll('svg .node').length") > before)
        server.client().update_item(
            TableName="Orders", Key={"id": {"S": "o050"}}, UpdateExpression="SET #t = :n",
            ExpressionAttributeNames={"#t": "total"}, ExpressionAttributeValues={":n": {"N": "7777"}},
        )  # fmt: skip
        browser.wait(lambda: any(row[2] == "o050" for row in browser.rows("Records, the latest first")))
        (row,) = [row for row in browser.rows("Records, the latest first") if row[2] == "o050"]
        assert row[1] == "Modify" and row[3] == "total"
        row_of = "[...document.querySelectorAll('tr')].find(r => r.textContent.includes('o050'))"
        browser.script(f"{row_of}.querySelector('button').click()")
        browser.wait(lambda: ["total", "50", "7777"] in browser.rows("Old and new image"))

    def test_links_are_cut_and_healed(self, browser: Browser, server: testing.LocalServer):
        browser.open("/regions")
        browser.press("Cut the link us-east-1 to eu-west-1")
        browser.wait(lambda: server.show_links()[0]["partition"])
        browser.wait(lambda: browser.script("return document.querySelectorAll('svg .edge.bad').length") == 1)
        browser.press("Heal the link us-east-1 to eu-west-1")
        browser.wait(lambda: not server.show_links()[0]["partition"])

    def test_the_clock_moves(self, browser: Browser, server: testing.LocalServer):
        before = server.clock.time()
        browser.open("/clock")
        browser.press("Advance 1h")
        browser.wait(lambda: server.clock.time() == before + 3600)
        browser.wait(lambda: server.clock.now.strftime("%Y-%m-%d %H:%M:%S") in browser.text)

    def test_a_moment_is_restored(self, browser: Browser, server: testing.LocalServer):
        browser.open("/table/Orders/backups")
        slider = browser.field("Moment")
        slider.send_keys(Keys.ARROW_LEFT * 20)
        browser.wait(lambda: "before the latest moment" in browser.text and "0 ms before" not in browser.text)
        browser.press("Restore to a new table")
        browser.see("Orders-restored")
        server.settle()
        assert server.client().scan(TableName="Orders-restored", Select="COUNT")["Count"] >= 120
        server.client().delete_table(TableName="Orders-restored")

    def test_a_deleted_table_is_restored_from_its_system_backup(self, browser: Browser, server: testing.LocalServer):
        client = server.client()
        client.create_table(
            TableName="Gone", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )  # fmt: skip
        recovery = {"PointInTimeRecoveryEnabled": True}
        client.update_continuous_backups(TableName="Gone", PointInTimeRecoverySpecification=recovery)
        client.put_item(TableName="Gone", Item={"id": {"S": "kept"}})
        client.delete_table(TableName="Gone")
        server.settle()
        linked = "return [...document.querySelectorAll('td a')].map(e => e.textContent)"
        browser.open("/backups")
        (row,) = [row for row in browser.rows("Backups") if row[2] == "System"]
        assert row[:2] == ["Gone$DeletedTableBackup", "Gone"] and row[6:] == [row[6], "Restore", ""] and row[6]
        assert "Gone" not in browser.script(linked) and "Orders" in browser.script(linked)
        browser.press("Restore Gone$DeletedTableBackup")
        browser.wait(lambda: browser.script("return document.activeElement.matches('.dialog input')"))
        browser.keys(Keys.ENTER)
        browser.see("Gone-restored", "Partition key")
        server.settle()
        assert client.scan(TableName="Gone-restored")["Items"] == [{"id": {"S": "kept"}}]
        client.delete_table(TableName="Gone-restored")

    def test_an_index_is_added_and_deleted(self, browser: Browser, server: testing.LocalServer):
        browser.open("/table/Orders/indexes")
        browser.fill("Index name", "by-total")
        browser.fill("Partition key", "total")
        browser.field("Type").send_keys("Number")
        browser.press("Add index")
        browser.wait(lambda: any(row[0] == "by-total" for row in browser.rows("Indexes")))
        server.settle()
        browser.press("Delete the index by-total")
        browser.see("Type by-total to confirm")
        browser.type_into_dialog("by-total")
        browser.wait(lambda: not any(row[0] == "by-total" for row in browser.rows("Indexes")))


class TestRefusals:
    def test_a_websocket_of_another_page_is_refused(self, browser: Browser):
        place = browser.url.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
        create_connection(place, origin=browser.url).close()
        with pytest.raises(WebSocketBadStatusException, match="403"):
            create_connection(place, origin="https://evil.example")
        with pytest.raises(WebSocketBadStatusException, match="403"):
            create_connection(place, host="evil.example", origin="http://evil.example")

    def test_requests_of_other_pages_are_refused(self, browser: Browser):
        assert get(browser.url + "/", Host="evil.example")[0] == 403
        assert get(browser.url + "/", Origin="https://evil.example")[0] == 403

    def test_the_password(self, chrome, console, tmp_path_factory):
        path = tmp_path_factory.mktemp("secret") / "password"
        path.write_text("open sesame\n")
        tab = Browser(chrome, console("--password-file", str(path)))
        assert get(tab.url + "/", Accept="text/html")[1].count("Orders") == 0
        chrome.get(tab.url + "/table/Orders/items")
        tab.fill("Password", "open barley")
        tab.keys(Keys.ENTER)
        tab.see("The password is wrong.")
        chrome.get_log("browser")
        tab.fill("Password", "open sesame")
        tab.keys(Keys.ENTER)
        tab.see("Orders", "Sign out")
        tab.open("/table/Orders/items")
        tab.see("50 items")
        tab.press("Sign out")
        tab.see("Sign in")
        assert tab.faults() == []

    def test_another_endpoint_is_read_only(self, chrome, console, server):
        """A server that is not Atoll: one whose own routes are missing."""
        with stranger(server.endpoint_url) as endpoint:
            tab = Browser(chrome, console(endpoint=endpoint))
            for path in PAGES:
                tab.open(path)
                if path in ("/clock", "/storage", "/regions", "/triggers", "/capacity", "/table/Orders/capacity"):
                    tab.see("The endpoint does not have this, or your credential may not read it.")
                if path != "/create-table":
                    assert "Read-only" in tab.text
                names = tab.script(
                    "return [...document.querySelectorAll('#main button, #main a')].map(e => e.textContent)"
                )
                for word in (
                    "Create",
                    "Delete",
                    "Save",
                    "Turn off",
                    "Restore",
                    "New item",
                    "Add index",
                    "Advance 1h",
                    "Split shards",
                    "Add vector index",
                ):
                    assert not any(name.startswith(word) for name in names), (path, word)
            tab.open("/partiql")
            assert "Clock" not in tab.text and "Regions" not in tab.text
            tab.fill("PartiQL (Ctrl+Enter runs it)", "DELETE FROM Orders WHERE id = 'o003'")
            tab.press("Run")
            tab.see("this console only reads")
            assert item_of(server, "o003")

    def test_a_credential_is_asked_for(self, chrome, console):
        policies = {
            "users": {"ann": {"access_keys": {"AKIAANN": "a secret"}, "policies": ["AmazonDynamoDBReadOnlyAccess"]}}
        }
        with testing.serve(policies=policies) as guarded:
            tab = Browser(chrome, console(endpoint=guarded.endpoint_url))
            chrome.get(tab.url + "/")
            tab.fill("Access key id", "AKIAANN")
            tab.fill("Secret access key", "a secret")
            tab.keys(Keys.ENTER)
            tab.see("This region has no table")
            assert "Clock" not in tab.text  # ann may not administer
            tab.open("/create-table")
            tab.fill("Name", "Table")
            tab.press("Create table")
            tab.see("AccessDeniedException")


def stranger(upstream: str):
    """A proxy that answers only DynamoDB's own requests, as an endpoint that is not Atoll."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            wanted = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
            headers = {name: self.headers[name] for name in wanted if name in self.headers}
            if not headers.get("X-Amz-Target", "").startswith("DynamoDB"):
                self.send_error(404)
                return
            request = urllib.request.Request(upstream + "/", body, headers)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                answer = opener.open(request)
            except urllib.error.HTTPError as error:
                answer = error
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    @contextmanager
    def running():
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    return running()
