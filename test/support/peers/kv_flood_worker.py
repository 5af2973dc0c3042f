"""Dynamo's own Python worker around an engine that publishes many blocks at once when told to; see ../kv_flood_engine.ts."""

import asyncio
import os

from dynamo.common.backend.publisher import PushSource
from dynamo.common.backend.run import run
from dynamo.common.backend.sample_engine import SampleLLMEngine

BLOCK = 16
FLOOD = 7
EVENTS = int(os.environ["KV_FLOOD_EVENTS"])
BLOCKS = int(os.environ["KV_FLOOD_BLOCKS"])


class FloodEngine(SampleLLMEngine):
    publisher = None
    names = 0

    async def kv_event_sources(self):
        return [PushSource(on_ready=self.take, dp_rank=0)]

    def component_metrics_dp_ranks(self):
        return []

    def take(self, publisher):
        self.publisher = publisher

    def store(self, tokens):
        count = len(tokens) // BLOCK
        first = self.names + 1
        self.names += count
        self.publisher.publish_stored(tokens, [BLOCK] * count, list(range(first, first + count)))

    def flood(self, last):
        length = BLOCK * BLOCKS
        for i in range(EVENTS):
            self.store(list(range(1000 + i * length, 1000 + (i + 1) * length)))
        self.store(last)

    async def generate(self, request, context):
        tokens = list(request["token_ids"])
        if request.get("stop_conditions", {}).get("max_tokens") == FLOOD:
            await asyncio.to_thread(self.flood, tokens)
        usage = {"prompt_tokens": len(tokens), "completion_tokens": 1, "total_tokens": len(tokens) + 1}
        yield {"token_ids": [64], "index": 0, "finish_reason": "length", "completion_usage": usage}


if __name__ == "__main__":
    run(FloodEngine)
