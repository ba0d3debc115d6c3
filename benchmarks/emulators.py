"""S3, SQS and Splunk's HEC, as far as collectors talk to them: one small server, cheap and counting.

    python -m benchmarks.emulators            # prints its port, serves until its stdin ends

It runs in a process of its own, so that its work is in nobody's account. Signatures are not checked. HEC
bodies are kept as they came and read only when the run is over (`/_verify`), so a collector is not slowed
down by being watched. What the runner asks of it is under `/_`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
import time
import zlib
from collections import Counter, deque
from pathlib import Path
from typing import Any, Awaitable, Callable, Deque, Dict, Iterator, List, Optional, Tuple
from urllib.parse import quote_plus, unquote

from benchmarks.objects import ObjectSet, digest_of, ensure, load_manifest

__all__ = ["BUCKET", "QUEUE", "main"]

BUCKET, QUEUE = "audits", "/111111111111/audits"
_PREFIX = "AWSLogs/2026/05/04/"

Reply = Tuple[int, bytes, str]


class Stage:
    """What is on show in one run: objects, a queue of their notifications, and what HEC was sent."""

    def __init__(self) -> None:
        self._manifest: Dict[str, Any] = {}
        self._files: Dict[str, bytes] = {}
        self._run = self._serial = 0
        self.load({})

    def load(self, wanted: Dict[str, Any]) -> None:
        """Begin anew. `set` (as ObjectSet) under `folder`, `copies` of it; none: an empty queue."""
        self.get_delay_seconds = wanted.get("get_delay_ms", 0) / 1000
        self.acknowledges = bool(wanted.get("acknowledges"))
        self._ends = wanted.get("ends", True)
        self._copies = wanted.get("copies", 1)
        self.calls: Counter[str] = Counter()
        self.waiting: Deque[Tuple[str, str]] = deque()
        self.in_flight: Dict[str, Tuple[str, str]] = {}
        self.polls = self.most_polls = 0
        self._run += 1
        self.first = self.last = 0.0
        self._sent: List[Tuple[bool, int]] = []
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the run)
        self._changed = asyncio.Event()
        self._manifest = {"objects": [], "bodies": 0, "events": 0, "digest": 0, "plain_sha256": ""}
        self._files = {}
        if wanted.get("set"):
            place = ensure(Path(wanted["folder"]), ObjectSet(*wanted["set"]))
            self._manifest = load_manifest(place)
            self._copies = 1 if self._manifest["bodies"] else self._copies
            self._fill(place)

    def _fill(self, place: Path) -> None:
        if self._manifest["bodies"]:
            bodies = (place / "bodies").read_text().split("\n")
            self.waiting.extend((f"m{number}", body) for number, body in enumerate(bodies))
        stored = {found["file"]: (place / found["file"]).read_bytes() for found in self._manifest["objects"]}
        for copy in range(self._copies):
            for found in self._manifest["objects"]:
                key = f"{_PREFIX}{copy}/{found['file']}{self._manifest['suffix']}"
                self._files[key] = stored[found["file"]]
                self.waiting.append((f"m{copy}-{found['file']}", _notification(key, found)))

    @property
    def keys(self) -> List[str]:
        return list(self._files)

    # -- SQS ------------------------------------------------------------------------------------

    async def receive(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        run = self._run
        self.polls += 1
        self.most_polls = max(self.most_polls, self.polls)
        await self._message_or_end(asked.get("WaitTimeSeconds", 0))
        if run != self._run:
            return {}  # a poll that a run before has left behind takes nothing of this one
        self.polls -= 1
        messages = []
        while self.waiting and len(messages) < asked.get("MaxNumberOfMessages", 1):
            identity, body = self.waiting.popleft()
            self._serial += 1
            handle = f"{identity}/{self._serial}"
            self.in_flight[handle] = (identity, body)
            messages.append(_message(identity, handle, body))
        return {"Messages": messages} if messages else {}

    async def _message_or_end(self, seconds: float) -> None:
        until, run = time.monotonic() + seconds, self._run
        while run == self._run and not self.waiting and time.monotonic() < until:
            if self._ends and not self.in_flight:
                return
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, until - time.monotonic()))
            except asyncio.TimeoutError:
                return

    def delete(self, handles: List[str]) -> None:
        for handle in handles:
            self.in_flight.pop(handle, None)
        self.last = time.monotonic()
        if not self.in_flight:
            self._changed.set()

    def hide(self, handle: str, seconds: int) -> None:
        if not seconds and handle in self.in_flight:
            self.waiting.append(self.in_flight.pop(handle))
            self._changed.set()

    # -- S3 -------------------------------------------------------------------------------------

    def object(self, path: str) -> Optional[bytes]:
        self.first = self.first or time.monotonic()
        return self._files.get(unquote(path)[len(BUCKET) + 2 :])

    # -- HEC ------------------------------------------------------------------------------------

    def keep(self, body: bytes, *, packed: bool) -> int:
        self._spool.write(body)
        self._sent.append((packed, len(body)))
        return len(self._sent)

    # -- the run's outcome ------------------------------------------------------------------------

    def report(self) -> Dict[str, Any]:
        return {
            "calls": dict(self.calls), "left": len(self.waiting) + len(self.in_flight),
            "objects": len(self._files), "bodies": self._manifest["bodies"],
            "events": self._manifest["events"] * self._copies, "posts": len(self._sent),
            "posted_bytes": sum(size for _, size in self._sent), "most_polls": self.most_polls,
            "active_seconds": max(0.0, self.last - self.first),
            "raw_bytes": self._manifest.get("raw_bytes", 0) * self._copies,
        }

    def verify(self, *, plain: bool) -> Dict[str, Any]:
        """Whether exactly the events of the set have arrived; with `plain`, the objects' own bytes."""
        if plain:
            whole = hashlib.sha256()
            for body in self._bodies():
                whole.update(body)
            wanted = hashlib.sha256()
            for packed in self._files.values():
                wanted.update(_inflated(packed))
            return {"complete": whole.digest() == wanted.digest(), "count": -1}
        import msgspec

        envelope = msgspec.defstruct("Envelope", [("event", msgspec.Raw)])
        decoder = msgspec.json.Decoder(envelope)
        count = total = 0
        for body in self._bodies():
            try:
                found = digest_of(_event(bytes(one.event)) for one in decoder.decode_lines(body))
            except msgspec.DecodeError as error:
                return {"complete": False, "count": count, "error": str(error)}
            count, total = count + found[0], (total + found[1]) % 2**128
        wanted_count = self._manifest["events"] * self._copies
        wanted_total = self._manifest["digest"] * self._copies % 2**128
        complete = (count, total) == (wanted_count, wanted_total)
        return {"complete": complete, "count": count, "wanted": wanted_count}

    def _bodies(self) -> Iterator[bytes]:
        self._spool.seek(0)
        for packed, size in self._sent:
            body = self._spool.read(size)
            yield zlib.decompress(body, 47) if packed else body


def _inflated(packed: bytes) -> bytes:
    out = b""
    while packed:
        member = zlib.decompressobj(31)
        out += member.decompress(packed)
        packed = member.unused_data
    return out


def _event(raw: bytes) -> bytes:
    """An event's own bytes: those of JSON as they stand, those of text without its quotes and escapes."""
    return json.loads(raw).encode() if raw[:1] == b'"' else raw


def _notification(key: str, found: Dict[str, Any]) -> str:
    record = {
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
        "eventTime": "2026-05-04T10:15:03.000Z", "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0", "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"},
            "object": {"key": quote_plus(key, safe="/"), "size": found["size"], "eTag": found["etag"],
                       "sequencer": "0055AED6DCD90281E5"},
        },
    }
    return json.dumps({"Records": [record]})


def _message(identity: str, handle: str, body: str) -> Dict[str, Any]:
    return {
        "MessageId": identity, "ReceiptHandle": handle, "Body": body,
        "MD5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "Attributes": {"SentTimestamp": str(int(time.time() * 1000)), "ApproximateReceiveCount": "1"},
    }


class Server:
    """HTTP/1.1 over asyncio's streams."""

    def __init__(self) -> None:
        self.stage = Stage()
        self._sqs: Dict[str, Callable[[Dict[str, Any]], Awaitable[Dict[str, Any]]]] = {
            "ReceiveMessage": self.stage.receive,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch,
            "ChangeMessageVisibility": self._hide,
            "ChangeMessageVisibilityBatch": self._hide_batch,
            "GetQueueAttributes": self._attributes,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in
                           (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, answer, more = await self._answer(method, target, headers, body)
                writer.write(
                    f"HTTP/1.1 {status} OK\r\nContent-Length: {len(answer)}\r\n{more}\r\n".encode("latin-1")
                )
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone, as clients do
        finally:
            writer.close()

    async def _answer(self, method: str, target: str, headers: Dict[str, str], body: bytes) -> Reply:
        path = target.partition("?")[0]
        if "x-amz-target" in headers:
            return await self._queue(headers["x-amz-target"].rpartition(".")[2], body)
        if path.startswith("/services/collector"):
            return self._hec(path, headers, body)
        if path.startswith("/_"):
            return self._runner(path, json.loads(body or b"{}"))
        if path == "/raw":
            return _json(200, {"code": self.stage.keep(body, packed="content-encoding" in headers)})
        return await self._object(method, target, path)

    async def _object(self, method: str, target: str, path: str) -> Reply:
        self.stage.calls["GetObject" if method == "GET" and "list-type" not in target else method] += 1
        found = self.stage.object(path)
        if self.stage.get_delay_seconds:
            await asyncio.sleep(self.stage.get_delay_seconds)
        if found is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", "Content-Type: application/xml\r\n"
        number = int(path.rpartition("/")[2].partition(".")[0]) + 1
        return 200, found, (
            f'ETag: "{number:032x}"\r\nLast-Modified: Mon, 04 May 2026 10:15:03 GMT\r\n'
            "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n"
        )

    # -- SQS ------------------------------------------------------------------------------------

    async def _queue(self, operation: str, body: bytes) -> Reply:
        self.stage.calls[operation] += 1
        self.stage.first = self.stage.first or time.monotonic()
        act = self._sqs.get(operation)
        if act is None:
            return 400, b'{"__type":"com.amazonaws.sqs#UnsupportedOperation"}', _JSON
        return 200, json.dumps(await act(json.loads(body))).encode(), _JSON_10

    async def _delete(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        self.stage.delete([asked["ReceiptHandle"]])
        return {}

    async def _delete_batch(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        self.stage.delete([entry["ReceiptHandle"] for entry in asked["Entries"]])
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    async def _hide(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        self.stage.hide(asked["ReceiptHandle"], asked["VisibilityTimeout"])
        return {}

    async def _hide_batch(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        for entry in asked["Entries"]:
            self.stage.hide(entry["ReceiptHandle"], entry["VisibilityTimeout"])
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    async def _attributes(self, asked: Dict[str, Any]) -> Dict[str, Any]:
        return {"Attributes": {"QueueArn": "arn:aws:sqs:eu-west-1:111111111111:audits"}}

    # -- HEC, and the runner's own questions --------------------------------------------------------

    def _hec(self, path: str, headers: Dict[str, str], body: bytes) -> Reply:
        if path.endswith("/health"):
            return _json(200, {"text": "HEC is healthy", "code": 17})
        if path.endswith("/ack"):
            if not self.stage.acknowledges:
                return _json(400, {"text": "ACK is disabled", "code": 14})
            return _json(200, {"acks": {str(one): True for one in json.loads(body)["acks"]}})
        if not body:
            return _json(400, {"text": "No data", "code": 5})
        number = self.stage.keep(body, packed=headers.get("content-encoding") == "gzip")
        acknowledged = {"ackId": number} if self.stage.acknowledges else {}
        return _json(200, {"text": "Success", "code": 0, **acknowledged})

    def _runner(self, path: str, asked: Dict[str, Any]) -> Reply:
        if path == "/_load":
            self.stage.load(asked)
            return _json(200, {"keys": self.stage.keys})
        if path == "/_verify":
            return _json(200, self.stage.verify(plain=bool(asked.get("plain"))))
        return _json(200, self.stage.report())


_JSON = "Content-Type: application/json\r\n"
_JSON_10 = "Content-Type: application/x-amz-json-1.0\r\n"


def _json(status: int, answer: Dict[str, Any]) -> Reply:
    return status, json.dumps(answer).encode(), _JSON


async def main() -> None:
    """Serve on a free port of loopback until stdin ends, which it does when the runner is gone."""
    server = await asyncio.start_server(Server().serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(main())
