"""The outputs: Splunk HEC, stdout, and splunkd's modular input stream.

    envelope.py     Slices -> the bytes of HEC envelopes, of JSON lines and of raw lines
    hec.py          HecSink: send, ask, fail over; hec_requests.py is what each request is made of,
                    hec_replies.py what HEC's answers mean, wire.py the connections under it, hec_questions.py
                    what only `audit-s3 check` asks
    stdout.py       StdoutSink
    splunkd.py      SplunkdSink: XML to splunkd; stream.py is what both know of who reads them

Everything here implements `ports.Sink` and knows `model`, `errors`, `ports` and `accel` only.
"""
