"""From configuration to threads at work: the one place that knows settings, adapters and the engine alike.

    service.py       all inputs of a process, until it is told to stop
    starts.py        which of them run, and when those that could not be started are tried again
    adapters.py      settings -> queue, object store, sinks, checkpoint store
    plan.py          settings -> what the engine is told of how to read, cut, route and bound
    runner.py        one input: its engine, what is periodic, the end
    errand.py        what an operator asks of an input in place of its queue
    shortcomings.py  why a run was no clean one, in sentences
    threads.py       the threads that drive its engine, and whether they move
    arenas.py        what all these threads may cost in memory, core.py on how many cores they run

`collector.schedule` says when periodic things happen, `collector.hosts` who runs all this.
"""
