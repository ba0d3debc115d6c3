"""Every parser, given whatever bytes there are: nothing but our own errors leaves, and soon.

`targets` are the parsers with their laws, `seeds` what mutation begins with. `make fuzz` runs each target
under atheris; `make test` replays the seeds, and every input in `found/` that once broke a law.
"""
