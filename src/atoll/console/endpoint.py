"""Call one endpoint through botocore, in threads, so that pages never wait for each other.

In read-only mode every operation that is not known to read is refused here, before it is sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar
from urllib.parse import urlencode

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError

from atoll.client.answers import goes_on

T = TypeVar("T")
Answer = dict[str, Any]

TABLES, STREAMS = "dynamodb", "dynamodbstreams"
METRICS, SCALING, TRIGGERS, CALLER = "cloudwatch", "application-autoscaling", "lambda", "sts"
SERVICES = (TABLES, STREAMS, METRICS, SCALING, TRIGGERS, CALLER)

CALLS_AT_A_TIME = 16
CLIENTS = 60
"""The most botocore clients that are kept: each takes some hundred kilobytes, and there may be many regions and
keys."""
CONNECT_SECONDS = 5
READ_SECONDS = 60
ATTEMPTS = 3
ADMIN_SECONDS = 600
"""The longest wait for the admin API: a move of the clock answers only after all work that became due."""

DEFAULT_REGION = "us-east-1"
LIVE_PATH = "/_atoll/health/live"
READS = ("get_", "list_", "describe_", "batch_get_", "query", "scan", "search_", "transact_get_")
STATEMENTS = ("execute_statement",)

_log = logging.getLogger(__name__)
_threads = ThreadPoolExecutor(CALLS_AT_A_TIME, "call")


class CallFailed(Exception):
    """The endpoint refused a call, or could not be reached."""

    def __init__(self, code: str, message: str, answer: Answer | None = None, status: int = 0) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code
        self.message = message
        self.answer = answer or {}
        self.status = status


@contextmanager
def checked_answers() -> Iterator[None]:
    """Code that reads answers as if they came from DynamoDB or Atoll. Another server may answer anything: what then
    breaks is logged, and raised as CallFailed."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, OSError) as error:
        _log.warning("an answer could not be shown", exc_info=error)
        told = "the endpoint's answer is not DynamoDB's, or the console misreads it: its log has more"
        raise CallFailed("", told) from error


class ReadOnly(CallFailed):
    def __init__(self) -> None:
        super().__init__("Read-only", "this console only reads: start it with --allow-writes to change anything")


def is_read(operation: str, parameters: Answer) -> bool:
    """Whether the operation changes nothing."""
    if operation in STATEMENTS:
        return str(parameters.get("Statement", "")).lstrip().lower().startswith("select")
    return operation.startswith(READS)


@dataclass(frozen=True)
class Address:
    """The location of tables: a URL, or a region of the service."""

    place: str
    region: str = ""
    profile: str = ""
    admin_token: str = field(default="", repr=False)
    ca_bundle: str = ""

    @property
    def url(self) -> str | None:
        return self.place.rstrip("/") if self.place.startswith(("http://", "https://")) else None

    @property
    def shown(self) -> str:
        return self.url or f"AWS {self.place}"


@dataclass(frozen=True)
class Key:
    """A credential."""

    access_key: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


UNSIGNED = Key("console", "console")
"""The credential for a server that checks no signatures."""


class Endpoint:
    """The endpoint, independent of the user who calls it."""

    def __init__(self, address: Address, *, allow_writes: bool = False) -> None:
        self.address = address
        self.session = botocore.session.Session(profile=address.profile or None)
        configured = self.session.get_config_variable("region") if address.url else address.place
        self.region: str = address.region or configured or DEFAULT_REGION
        self.is_atoll = False
        self._recognized = False
        self._allow_writes = allow_writes
        self._making = threading.Lock()
        self._clients: OrderedDict[tuple[Key, str, str], Any] = OrderedDict()
        if address.ca_bundle:
            self.session.set_config_variable("ca_bundle", address.ca_bundle)
        trust = self.session.get_config_variable("ca_bundle") or True
        self._http = URLLib3Session(verify=trust, timeout=ADMIN_SECONDS, max_pool_connections=CALLS_AT_A_TIME)
        self._probe = URLLib3Session(verify=trust, timeout=CONNECT_SECONDS)

    @property
    def read_only(self) -> bool:
        return not (self.is_atoll or self._allow_writes)

    def own_key(self) -> Key | None:
        """The user's credential, from the environment or boto's configuration. A temporary one is renewed in time.

        None if there is none, or if it cannot be renewed: then the console asks for one.
        """
        try:
            frozen = None if self._credentials is None else self._credentials.get_frozen_credentials()
        except BotoCoreError as error:  # an expired login, or a failing program
            _log.warning("the credential cannot be renewed: %s", error)
            return None
        if frozen is None:
            return None
        return Key(frozen.access_key, frozen.secret_key, frozen.token)

    @cached_property
    def _credentials(self) -> Any:
        """Looked up only once: without any, botocore asks the network for some, which takes seconds."""
        return self.session.get_credentials()

    async def recognize(self) -> bool:
        """Find out whether this is Atoll, once it can be reached. Returns whether that is known now."""
        if self._recognized or self.address.url is None:
            return True
        try:
            answer = await self.http("GET", LIVE_PATH)
        except CallFailed as failure:
            self._recognized = failure.status != 0
            return self._recognized
        self.is_atoll = answer.get("status") == "live"
        self._recognized = True
        return True

    async def warm_up(self) -> Key:
        """Create the botocore clients before the first page needs them, since that takes about a second. Returns the
        key that they use."""
        key = await in_thread(self.own_key) or UNSIGNED
        for service in SERVICES:
            await in_thread(partial(self._made, key, service))
        return key

    def _made(self, key: Key, service: str) -> Answer:
        self.client(key, self.region, service)
        return {}

    def client(self, key: Key, region: str, service: str) -> Any:
        with self._making:
            found = self._clients.get((key, region, service))
            if found is None:
                found = self._clients[key, region, service] = self._client(key, region, service)
                if len(self._clients) > CLIENTS:
                    self._clients.popitem(last=False)
            self._clients.move_to_end((key, region, service))
            return found

    def _client(self, key: Key, region: str, service: str) -> Any:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CALLS_AT_A_TIME,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            ignore_configured_endpoint_urls=True,
            proxies={} if self.address.url else None,
            parameter_validation=False,  # the endpoint explains what is wrong with a request
        )
        return self.session.create_client(
            service, region_name=region, endpoint_url=self.address.url, config=config,
            aws_access_key_id=key.access_key, aws_secret_access_key=key.secret, aws_session_token=key.token,
        )  # fmt: skip

    async def http(self, method: str, path: str, key: Key | None = None, body: Answer | None = None) -> Answer:
        """Send a request to one of Atoll's own routes."""
        return await in_thread(partial(self._http_now, method, path, key, body))

    def _http_now(self, method: str, path: str, key: Key | None, body: Answer | None) -> Answer:
        data = json.dumps(body) if body is not None else None
        request = AWSRequest(method, f"{self.address.url}{path}", data=data)
        if self.address.admin_token:
            request.headers["Authorization"] = f"Bearer {self.address.admin_token}"
        elif key is not None:
            SigV4Auth(Credentials(key.access_key, key.secret, key.token), TABLES, self.region).add_auth(request)
        try:
            answer = (self._probe if path == LIVE_PATH else self._http).send(request.prepare())
            content = answer.content
        except BotoCoreError as error:
            raise CallFailed("", str(error)) from error
        try:
            found = json.loads(content or b"{}")
        except ValueError:  # another server sent a web page
            found = None
        if not isinstance(found, dict) or answer.status_code >= 400:
            told = found if isinstance(found, dict) else {}
            code = str(told.get("__type", "")).rpartition("#")[2]
            raise CallFailed(code, told.get("message") or told.get("Message") or "", told, answer.status_code)
        return found


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work)


class Connection:
    """The endpoint as one user sees it: a credential and a region."""

    def __init__(self, endpoint: Endpoint, key: Key, region: str = "") -> None:
        self.endpoint = endpoint
        self.key = key
        self.region = region or endpoint.region

    @property
    def read_only(self) -> bool:
        return self.endpoint.read_only

    @property
    def is_atoll(self) -> bool:
        return self.endpoint.is_atoll

    @property
    def has_everything(self) -> bool:
        """Whether this is Atoll or the service: other endpoints may lack vector indexes and table classes."""
        return self.is_atoll or self.endpoint.address.url is None

    async def call(self, operation: str, service: str = TABLES, **parameters: Any) -> Answer:
        """The answer of an operation, named as botocore's clients do."""
        if self.read_only and not is_read(operation, parameters):
            raise ReadOnly
        return await in_thread(partial(self._call_now, operation, service, parameters))

    def _call_now(self, operation: str, service: str, parameters: Answer) -> Answer:
        try:
            client = self.endpoint.client(self.key, self.region, service)
            answer: Answer = getattr(client, operation)(**parameters)
        except ClientError as error:
            told = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code, message = str(told.get("Code", "")), str(told.get("Message", ""))
            raise CallFailed(code, message, dict(error.response), status) from error
        except (BotoCoreError, ResponseParserError, TypeError, ValueError, AttributeError) as error:
            raise CallFailed("", str(error)) from error
        answer.pop("ResponseMetadata", None)
        if not goes_on(parameters, answer):  # it would be read for ever
            raise CallFailed("", f"{operation} returned a page that ends where it began")
        return answer

    async def ask(self, path: str, **query: Any) -> Answer:
        """GET a route of Atoll's administration."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return await self.endpoint.http("GET", f"/_atoll/{path}{'?' + urlencode(given) if given else ''}", self.key)

    async def tell(self, path: str, **body: Any) -> Answer:
        """POST to a route of Atoll's administration."""
        if self.read_only:
            raise ReadOnly
        return await self.endpoint.http("POST", f"/_atoll/{path}", self.key, body)

    async def table_names(self) -> list[str]:
        names: list[str] = []
        more: Answer = {}
        while True:
            answer = await self.call("list_tables", **more)
            names += answer["TableNames"]
            if "LastEvaluatedTableName" not in answer:
                return names
            more = {"ExclusiveStartTableName": answer["LastEvaluatedTableName"]}

    async def describe(self, table: str) -> Answer:
        found: Answer = (await self.call("describe_table", TableName=table))["Table"]
        return found
