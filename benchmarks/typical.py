"""The typical collector: what one writes in an afternoon with boto3, json and requests, and writes well.

    python -m benchmarks.typical QUEUE_URL HEC_URL

One session for each service, events in batches of 1,000, one delete per message after its last batch was
taken; bodies are not compressed. It ends when the queue is empty. It has no checkpoints and no retries: that
is work the real collector does and this one does not.
"""

from __future__ import annotations

import gzip
import json
import sys
from datetime import datetime
from typing import Any, Iterator, List, Tuple
from urllib.parse import unquote_plus, urlsplit

import boto3
import requests

__all__ = ["main"]

BATCH_EVENTS = 1000


def epoch(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def envelopes(text: str, source: str) -> Iterator[str]:
    """Records of CloudTrail, or a JSON object a line."""
    if text.startswith('{"Records":'):
        events = json.loads(text)["Records"]
    else:
        events = [json.loads(line) for line in text.splitlines() if line]
    for event in events:
        envelope = {"time": epoch(event["eventTime"]), "source": source, "event": event}
        yield json.dumps(envelope, separators=(",", ":"))


def of_message(s3: Any, body: Any) -> Iterator[str]:
    """What one message brings: a log event in the body, or objects."""
    if "message" in body:
        yield json.dumps({"time": body["timestamp"] / 1000, "source": "sqs", "event": body["message"]})
        return
    for record in body["Records"]:
        bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
        packed = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        yield from envelopes(gzip.decompress(packed).decode(), f"s3://{bucket}/{key}")


def batches(lines: Iterator[str]) -> Iterator[List[str]]:
    batch: List[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == BATCH_EVENTS:
            yield batch
            batch = []
    if batch:
        yield batch


def clients(endpoint: str) -> Tuple[Any, Any]:
    session = boto3.Session("AKIAEXAMPLE", "secret", region_name="eu-west-1")
    return session.client("sqs", endpoint_url=endpoint), session.client("s3", endpoint_url=endpoint)


def main(queue_url: str, hec_url: str) -> None:
    parts = urlsplit(queue_url)
    sqs, s3 = clients(f"{parts.scheme}://{parts.netloc}")
    session = requests.Session()
    session.headers["Authorization"] = "Splunk token"
    while True:
        answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        if not answer.get("Messages"):
            return
        for message in answer["Messages"]:
            for batch in batches(of_message(s3, json.loads(message["Body"]))):
                url = f"{hec_url}/services/collector/event"
                session.post(url, data="\n".join(batch).encode()).raise_for_status()
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    main(*sys.argv[1:])
