"""Searches on a search head, through the one Splunk REST client: a few rows of counts for a question.

    SearchHead("https://splunk.example.com:8089", token).rows("| tstats count where ... by source")

The token is one that Splunk has issued (Settings > Tokens) for a user who may search the indexes. All of
time is searched, also what bears a time to come, and an indexer that is away fails the search: half an answer
would look like loss. Page: Splunk REST API Reference, "search/v2/jobs" (exec_mode=oneshot).
"""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Dict, List, Mapping
from urllib.parse import urlsplit

from collector.errors import CollectorError, Fatal, Retry
from collector.hosts.splunkd.rest import answer_of, connect, tls_context

__all__ = ["SearchHead"]

_TIMEOUT_SECONDS = 300.0
#: Busy search heads say so; then it is asked again after these.
_WAITS_SECONDS = (2.0, 8.0, 30.0)
_ALL_TIME = {"earliest_time": "0", "latest_time": "2147483647"}


class SearchHead:
    """One search head, asked by one thread. `ca_file` and `verify` are as for HEC.

    Retry when it does not answer or is busy, Fatal (scope "config") when it refuses.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        ca_file: str = "",
        verify: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url
        self._sleep = sleep
        context = tls_context(urlsplit(url).hostname or "", ca_file=ca_file, verify=verify)
        self._service = connect(url, context=context, timeout_seconds=_TIMEOUT_SECONDS, splunkToken=token)

    def rows(self, search: str) -> List[Mapping[str, Any]]:
        """All rows of the answer; their values are text."""
        for wait in _WAITS_SECONDS:
            try:
                return self._rows(search)
            except Retry:
                self._sleep(wait)
        return self._rows(search)

    def _rows(self, search: str) -> List[Mapping[str, Any]]:
        def ask() -> bytes:
            body: bytes = self._service.jobs.oneshot(
                search, output_mode="json", count=0, allow_partial_results="false", **_ALL_TIME
            ).read()
            return body

        answer = self._read(answer_of(ask, self._refusal, where=self._url))
        trouble = [one for one in answer.get("messages", ()) if one.get("type") in ("ERROR", "FATAL")]
        if trouble:
            raise Retry(
                f"the search failed: {trouble[0].get('text')}", code="splunk_search_failed", where=self._url,
                hint="look at the search head's own messages",
            )
        return list(answer.get("results", ()))

    def _read(self, body: bytes) -> Dict[str, Any]:
        """An empty body is what Splunk answers where there is no row at all."""
        try:
            answer = json.loads(body) if body.strip() else {}
        except ValueError as error:
            raise Retry(
                "the answer to a search was cut off", code="splunk_search_failed", where=self._url
            ) from error
        return answer if isinstance(answer, dict) else {}

    def _refusal(self, status: int) -> CollectorError:
        what = f"the search head answered {status}"
        if status == 401:
            what = "the search head does not take the token"
            hint = "is it valid, and are tokens enabled there?"
            return Fatal(what, code="splunk_token_refused", where=self._url, hint=hint)
        if status == 403:
            what, hint = "the user of the token may not search", "give its role the capability search"
            return Fatal(what, code="splunk_search_denied", where=self._url, hint=hint)
        if status == 429 or status >= 500:
            return Retry(what, code="splunkd_busy", where=self._url)
        hint = "is this the management port (8089) of a search head?"
        return Fatal(what, code="splunk_search_refused", where=self._url, hint=hint)
