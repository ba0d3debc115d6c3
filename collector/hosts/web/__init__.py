"""The status page, its JSON, the metrics and the probes: what a running collector answers over HTTP."""
