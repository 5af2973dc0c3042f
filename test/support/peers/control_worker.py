"""Dynamo's own Python worker around an engine that operators can put to sleep and break; see ../control_engine.ts."""

import asyncio

from dynamo._core import Unknown
from dynamo.common.backend.health_check import is_probe
from dynamo.common.backend.run import run
from dynamo.common.backend.sample_engine import SampleLLMEngine


class ControlEngine(SampleLLMEngine):
    manner: dict = {}

    def as_told(self, name):
        manner = self.manner.get(name)
        if manner == "throw":
            raise Unknown(f"{name} failed")
        if manner == "error":
            return {"status": "error", "message": f"{name} is not possible"}
        return {"status": "ok", **({"is_sleeping": True} if manner == "asleep" else {})}

    def supported_controls(self):
        return {"set", "sleep", "wake_up", "start_profile"}

    async def engine_control(self, control, body):
        if control != "set":
            return self.as_told(control)
        self.manner = body
        return {"status": "ok"}

    def supported_updates(self):
        return {"update_weights"}

    async def engine_update(self, update, body):
        return {"status": "ok", "loaded": body}

    async def generate(self, request, context):
        if is_probe(request) and self.manner.get("probe") == "throw":
            raise Unknown("the probe failed")
        if is_probe(request) and self.manner.get("probe") == "hang":
            await asyncio.sleep(3600)
        async for chunk in super().generate(request, context):
            yield chunk


if __name__ == "__main__":
    run(ControlEngine)
