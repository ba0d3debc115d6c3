"""SQS's JSON protocol as `lean` speaks it, with boto3 behind it.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-json-faqs.html
"""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

from collector.aws.lean import Lean

__all__ = ["SqsCalls"]

_METHODS = {
    "ReceiveMessage": "receive_message",
    "DeleteMessageBatch": "delete_message_batch",
    "ChangeMessageVisibilityBatch": "change_message_visibility_batch",
}


class SqsCalls:
    """Calls of one boto3 SQS client; without `lean` boto3 makes them all. Thread safe."""

    def __init__(self, client: Any, lean: Optional[Lean] = None) -> None:
        self._client = client
        self._lean = lean
        if lean is not None:
            for operation in _METHODS:
                lean.watch(client, f"sqs.{operation}")

    def ask(self, operation: str, **request: Any) -> Dict[str, Any]:
        """The answer in boto3's words, or what boto3 raises.

        A receive that is made twice because its first answer was lost hides those messages for one
        visibility timeout: as any lost answer does.
        """
        answer = self._ask_lean(operation, request)
        if answer is None:
            answer = getattr(self._client, _METHODS[operation])(**request)
            if self._lean is not None:
                self._lean.learn(("sqs", operation))
        return answer

    def _ask_lean(self, operation: str, request: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        if self._lean is None:
            return None
        answer = self._lean.ask(("sqs", operation), "POST", body=json.dumps(request).encode())
        if answer is None:
            return None
        try:
            pieces = list(iter(lambda: answer.body.read(1 << 20), b""))
            parsed: Dict[str, Any] = json.loads(b"".join(pieces))
        except (OSError, ValueError):
            answer.body.close()
            self._lean.forget(("sqs", operation))
            return None
        return parsed
