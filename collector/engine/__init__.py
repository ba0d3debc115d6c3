"""The engine: one ledger of what is in hand, and the stations that work on it.

Receiver -> Reader -> Sender -> Acknowledger -> Settler is the way of a message; the Keeper holds its lease
meanwhile, and the Reconciler finds what no message told of. It knows ports, never an adapter.
"""
