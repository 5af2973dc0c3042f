"""Dynamo's own subscribers of forward passes. Arguments: endpoint path, event plane.

Prints `got <JSON>` for each message and `tracked <worker> <rank> <counter>` for the newest of a rank, as planners see it.
"""
import asyncio
import sys

import msgspec

from dynamo.common.forward_pass_metrics import decode
from dynamo.llm import FpmEventSubscriber
from dynamo.runtime import DistributedRuntime


async def main(path, event_plane):
    loop = asyncio.get_running_loop()
    runtime = DistributedRuntime(loop, "file", "tcp", event_plane=event_plane)
    endpoint = runtime.endpoint(path)
    tracker = FpmEventSubscriber(endpoint)
    tracker.start_tracking()
    subscriber = FpmEventSubscriber(endpoint)
    while True:
        data = await loop.run_in_executor(None, subscriber.recv)
        print("got", msgspec.json.encode(decode(data)).decode(), flush=True)
        for (worker, rank), newest in tracker.get_recent_stats().items():
            print("tracked", worker, rank, decode(newest).counter_id, flush=True)


asyncio.run(main(*sys.argv[1:]))
