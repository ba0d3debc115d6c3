"""The outputs: Splunk HEC, stdout, and splunkd's modular input stream.

    envelope.py     Slices -> the bytes of HEC envelopes, of JSON lines and of raw lines
    hec.py          HecSink: send, ask, fail over; hec_replies.py is what HEC's answers mean, wire.py the
                    connections under it
    stdout.py       StdoutSink
    splunkd.py      SplunkdSink: XML to splunkd

Everything here implements `ports.Sink` and knows `model`, `errors`, `ports` and `accel` only.
"""
