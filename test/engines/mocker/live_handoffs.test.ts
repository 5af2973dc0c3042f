/** Hand-overs between mock engines that meet; whatever happens, nothing stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameReader } from "../../../engines/mocker/bootstrap/frame.ts";
import { CAPTURED_FRAMES, CAPTURED_IDENTITY, withHeader } from "../../support/bootstrap_session.ts";
import {
  aMoment,
  assertNothingLeft,
  bothEngines,
  end,
  failure,
  leg,
  meeting,
  PORT,
  TRANSFER,
} from "../../support/handoff_rig.ts";
import { MemoryBootstrapNet } from "../../support/memory_bootstrap_net.ts";
import { dice } from "../../support/mock_requests.ts";
import { promptOf, startMockerRigOn } from "../../support/mocker_rig.ts";

for (const backend of ["vllm", "sglang"] as const) {
  test(`a prompt is computed here, travels, and is answered there: ${backend}`, async () => {
    const { net, prefill, decode } = await bothEngines("--engine-type", backend);
    const begin = net.clock.now();
    const legs = await Promise.all([leg(prefill, 1, promptOf(1, 64)), leg(decode, 1, promptOf(1, 64))]);
    const [source, answer] = legs;
    assert.deepEqual([source.length, source[0]?.chunk.disaggregated_params, end(source)], [1, "dummy", "length"]);
    assert.deepEqual([answer.length, end(answer)], [5, "length"]);
    assert.equal(answer[0]?.chunk.completion_usage?.prompt_tokens_details?.cached_tokens, 0);
    // 17.5 ms for the prompt, 64 for its way, and then a step of 5.7; timers ring at whole milliseconds.
    const times = [source[0]!.at - begin, answer[0]!.at - begin];
    assert.ok(times[0]! >= 82 && times[0]! <= 84 && times[1]! >= 88 && times[1]! <= 92, String(times));
    await assertNothingLeft(net, prefill, decode);
  });
}

test("the transfer takes the time of what the decode worker does not have", async () => {
  const { net, prefill, decode } = await bothEngines("--kv-transfer-timing-mode", "destination_missing");
  await Promise.all([leg(prefill, 1, promptOf(1, 64)), leg(decode, 1, promptOf(1, 64))]);
  const begin = net.clock.now();
  const prompt = [...promptOf(1, 48), ...promptOf(2, 16)];
  const [, answer] = await Promise.all([leg(prefill, 2, prompt), leg(decode, 2, prompt)]);
  const waited = answer[0]!.at - begin;
  assert.ok(waited >= 17 + 16 + 5 && waited < 17 + 16 + 12, `${waited}`);
  await assertNothingLeft(net, prefill, decode);
});

test("a prefill worker says where it is met; any port, and another address, can be had", async () => {
  const net = new MemoryBootstrapNet();
  const start = async (...flags: string[]) => {
    const { config, engine } = await startMockerRigOn(net, ...flags);
    await engine.cleanup();
    return [config.bootstrapHost, config.bootstrapPort];
  };
  const prefill = ["--disaggregation-mode", "prefill"];
  assert.deepEqual(await start(...prefill, "--bootstrap-ports", "7001"), ["10.0.0.1", 7001]);
  assert.deepEqual(await start(...prefill, "--bootstrap-ports", "0", "--bootstrap-host", "h"), ["h", 9000]);
  const json = JSON.stringify({ dynamo: { bootstrap_port: 7002 } });
  assert.deepEqual(await start(...prefill, "--extra-engine-args", json), ["10.0.0.1", 7002]);
  assert.deepEqual(await start("--disaggregation-mode", "decode", "--bootstrap-ports", "7"), [undefined, undefined]);
  assert.deepEqual(await start(...prefill), [undefined, undefined]);
  assert.equal(net.open, 0);
});

test("the prefill worker of the captured session writes the same bytes", async () => {
  const { net, prefill, decode } = await bothEngines();
  const heard: number[] = [];
  const turns = CAPTURED_FRAMES.filter(({ from }) => from === "decode").map(({ bytes }) => bytes);
  const link = net.dial("", PORT, {
    data(bytes) {
      heard.push(...bytes);
      const frames = new FrameReader(false).push(Uint8Array.from(heard)).length;
      // Room is told when it was asked for, and activation when it was ordered.
      if (frames === 3 && turns.length === 3) { for (const reply of turns.splice(0, 2)) link.send(reply); }
      if (frames === 4 && turns.length === 1) link.send(turns.shift()!);
    },
    lost: () => {},
  });
  link.send(withHeader(turns.shift()!));
  const bootstrap_info = { ...CAPTURED_IDENTITY, bootstrap_host: "", bootstrap_port: PORT };
  const source = await prefill.ask(
    promptOf(1, 64),
    { bootstrap_info },
    prefill.context({ id: CAPTURED_IDENTITY.request_id }),
  );
  assert.equal(end(source), "length");
  await net.clock.nextTurn();
  assert.deepEqual(heard, captured("prefill"));
  await assertNothingLeft(net, prefill, decode);
});

test("the decode worker of the captured session writes the same bytes", async () => {
  const net = new MemoryBootstrapNet();
  const decode = await startMockerRigOn(net, "--disaggregation-mode", "decode", ...TRANSFER);
  // In the capture the decode worker had the whole prompt already.
  await decode.ask(promptOf(1, 64), { prefill_result: { disaggregated_params: "dummy" } });
  const heard: number[] = [];
  const turns = CAPTURED_FRAMES.filter(({ from }) => from === "prefill").map(({ bytes }) => bytes);
  const listening = await net.listen(PORT, (link) => ({
    data(bytes) {
      heard.push(...bytes);
      const frames = new FrameReader(true).push(Uint8Array.from(heard)).length;
      const reply = { 1: 5, 3: 2, 4: 1 }[frames] ?? 0;
      for (let count = turns.length - reply + (frames === 1 ? 3 : 1); count > 0; count--) link.send(turns.shift()!);
    },
    lost: () => {},
  }));
  const bootstrap_info = { ...CAPTURED_IDENTITY, bootstrap_host: "", bootstrap_port: PORT };
  const answer = await decode.ask(
    promptOf(1, 64),
    { bootstrap_info },
    decode.context({ id: CAPTURED_IDENTITY.request_id }),
  );
  assert.equal(end(answer), "length");
  await net.clock.nextTurn();
  assert.deepEqual(heard, [...withHeader(), ...captured("decode")]);
  await listening.close();
  await assertNothingLeft(net, decode);
});

function captured(from: "prefill" | "decode"): number[] {
  return CAPTURED_FRAMES.filter((frame) => frame.from === from).flatMap(({ bytes }) => [...bytes]);
}

for (const [side, other] of [["prefill", "decode"], ["decode", "prefill"]] as const) {
  for (const after of [0, 5, 40, 80]) {
    test(`a ${side} leg that is given up after ${after} ms takes the other with it`, async () => {
      const engines = await bothEngines();
      const control = new AbortController();
      const given = leg(engines[side], 1, promptOf(1, 64), { signal: control.signal });
      const left = leg(engines[other], 1, promptOf(1, 64));
      await engines.net.clock.sleepUntil(engines.net.clock.now() + after);
      control.abort();
      assert.equal(end(await given), "cancelled");
      assert.match(failure(await left), new RegExp(`^the prompt was not handed over: .*${side} request has ended`));
      await assertNothingLeft(engines.net, engines.prefill, engines.decode);
    });
  }

  test(`cleanup of the ${side} worker ends both legs`, async () => {
    const engines = await bothEngines();
    const legs = [leg(engines[side], 1, promptOf(1, 64)), leg(engines[other], 1, promptOf(1, 64))] as const;
    await engines.net.clock.sleepUntil(engines.net.clock.now() + 40);
    await engines[side].engine.cleanup();
    assert.equal(end(await legs[0]), "cancelled");
    assert.match(failure(await legs[1]), /has ended/);
    await assertNothingLeft(engines.net, engines[other]);
  });
}

test("a decode worker that stops reading its own stream loses its room when the prompt does not come", async () => {
  const { net, prefill, decode } = await bothEngines();
  const control = new AbortController();
  const given = leg(prefill, 1, promptOf(1, 64), { signal: control.signal });
  const body = { stop_conditions: { max_tokens: 4 }, bootstrap_info: meeting(1) };
  const stalled = decode.stream(promptOf(1, 64), body, decode.context({ id: "request-1" }))[Symbol.asyncIterator]();
  const first = stalled.next();
  await net.clock.sleepUntil(net.clock.now() + 40);
  control.abort();
  await given;
  await net.clock.nextTurn();
  const loads = decode.told.flatMap((one) => one.kind === "load" ? [one.used] : []);
  assert.deepEqual([Math.max(...loads), loads.at(-1)], [4, 0]);
  await first;
  await stalled.return?.();
  await assertNothingLeft(net, prefill, decode);
});

test("an answer that ends before the prefill worker is done does not disturb it", async () => {
  const { net, prefill, decode } = await bothEngines();
  const begin = net.clock.now();
  const source = leg(prefill, 1, promptOf(1, 64));
  const answer = leg(decode, 1, promptOf(1, 64), {}, 1);
  await net.clock.sleepUntil(net.clock.now() + 70);
  // A pass of more than 100 ms, so that the blocks can only be let go of when the answer is over.
  const busy = [leg(prefill, 2, promptOf(2, 6000)), leg(decode, 2, promptOf(2, 6000))];
  assert.equal(end(await answer), "length");
  assert.equal(await decode.engine.isQuiescent?.(), false, "a session is left");
  assert.equal(end(await source), "length");
  assert.ok(net.clock.now() - begin > 150, "steps between passes wait for the end of a pass");
  assert.deepEqual((await Promise.all(busy)).map(end), ["length", "length"]);
  await assertNothingLeft(net, prefill, decode);
});

test("a second request for one hand-over is refused, and the first goes on", async () => {
  const { net, prefill, decode } = await bothEngines();
  const first = leg(prefill, 1, promptOf(1, 64));
  assert.match(failure(await leg(prefill, 1, promptOf(1, 64))), /has its source already/);
  assert.deepEqual((await Promise.all([first, leg(decode, 1, promptOf(1, 64))])).map(end), ["length", "length"]);
  await assertNothingLeft(net, prefill, decode);
});

test("a port that cannot be had fails the start in words", async () => {
  const { net, prefill, decode } = await bothEngines();
  const again = startMockerRigOn(net, "--disaggregation-mode", "prefill", "--bootstrap-ports", String(PORT));
  await assert.rejects(
    again,
    /Cannot listen for decode workers on port 7000 \(--bootstrap-ports\): port 7000 is taken/,
  );
  await assertNothingLeft(net, prefill, decode);
});

test("a prefill worker that registers and falls silent is given up", async () => {
  const net = new MemoryBootstrapNet();
  const json = JSON.stringify({ dynamo: { handoff_session_timeout_ms: 50 } });
  const decode = await startMockerRigOn(net, "--disaggregation-mode", "decode", "--extra-engine-args", json);
  const listening = await net.listen(PORT, (link) => {
    link.send(CAPTURED_FRAMES[1]!.bytes);
    return { data: () => {}, lost: () => link.close() };
  });
  const begin = net.clock.now();
  const bootstrap_info = { ...CAPTURED_IDENTITY, bootstrap_host: "", bootstrap_port: PORT };
  const ctx = decode.context({ id: CAPTURED_IDENTITY.request_id });
  assert.match(failure(await decode.ask(promptOf(1, 64), { bootstrap_info }, ctx)), /takes too long/);
  assert.equal(Math.round(net.clock.now() - begin), 50);
  await listening.close();
  await assertNothingLeft(net, decode);
});

test("neither side waits for ever: for the other, for an answer, for the end", async () => {
  const { net, prefill, decode } = await bothEngines();
  const begin = net.clock.now();
  assert.match(failure(await leg(prefill, 1, promptOf(1, 64))), /no decode worker came/);
  assert.equal(Math.round(net.clock.now() - begin), 30_000);
  // The decode worker comes when it is over.
  assert.match(failure(await leg(decode, 1, promptOf(1, 64))), /the hand-over is over/);
  const lonely = net.clock.now();
  assert.match(failure(await leg(decode, 2, promptOf(1, 64))), /no request came|does not answer/);
  assert.equal(Math.round(net.clock.now() - lonely), 30_000);
  const nobody = await decode.ask(promptOf(1, 64), { bootstrap_info: meeting(3, 1) });
  assert.match(failure(nobody), /the prefill worker is gone: connection refused/);
  await assertNothingLeft(net, prefill, decode);
});

test("a prompt that can never fit ends both legs in words", async () => {
  const net = new MemoryBootstrapNet();
  const small = [...TRANSFER, "--num-gpu-blocks-override", "3"];
  const prefilling = ["--disaggregation-mode", "prefill", "--bootstrap-ports", String(PORT), ...TRANSFER];
  const prefill = await startMockerRigOn(net, ...prefilling);
  const decode = await startMockerRigOn(net, "--disaggregation-mode", "decode", ...small);
  const legs = await Promise.all([leg(prefill, 1, promptOf(1, 64)), leg(decode, 1, promptOf(1, 64))]);
  assert.match(failure(legs[0]), /ReserveDestination failed: Cannot take over 64/);
  assert.match(failure(legs[1]), /not handed over: Cannot take over 64/);
  await prefill.engine.cleanup();
  const short = await startMockerRigOn(net, ...prefilling, "--max-model-len", "64");
  const rest = await Promise.all([leg(short, 2, promptOf(1, 64)), leg(decode, 2, promptOf(1, 64))]);
  assert.match(failure(rest[0]), /request exceeds worker admission limits/);
  assert.match(failure(rest[1]), /the prefill request has ended/);
  await assertNothingLeft(net, short, decode);
});

test("what cannot be met is refused in words; the id of a hand-over may be bytes", async () => {
  const net = new MemoryBootstrapNet();
  const ask = async (role: string, info: object) => {
    const rig = await startMockerRigOn(net, "--disaggregation-mode", role);
    const chunks = await rig.ask([1], { bootstrap_info: { ...meeting(1, 1), ...info } }).finally(() =>
      rig.engine.cleanup()
    );
    return failure(chunks);
  };
  const refused = { kind: "InvalidArgument" };
  await assert.rejects(ask("agg", {}), { ...refused, message: /aggregated worker cannot meet another at 10.0.0.1:1/ });
  await assert.rejects(ask("prefill", {}), { ...refused, message: /start it with --bootstrap-ports/ });
  await assert.rejects(ask("decode", { handoff_id: undefined }), { ...refused, message: /handoff_id is missing/ });
  await assert.rejects(ask("decode", { handoff_id: Uint8Array.of(1) }), refused);
  await assert.rejects(ask("decode", { bootstrap_port: 0 }), { ...refused, message: /names no host and port/ });
  assert.match(await ask("decode", { handoff_id: new Uint8Array(16) }), /connection refused/);
  assert.equal(net.open, 0);
});

for (const backend of ["vllm", "sglang"] as const) {
  test(`300 hand-overs, of which many are given up by either side, leave nothing behind: ${backend}`, async () => {
    const small = ["--num-gpu-blocks-override", "40", "--max-num-seqs", "12", "--sglang-clip-max-new-tokens", "8"];
    const { net, prefill, decode } = await bothEngines("--engine-type", backend, ...small);
    const random = dice(11);
    const ends = { prefill: [] as unknown[], decode: [] as unknown[] };
    await Promise.all(Array.from({ length: 300 }, async (_, number) => {
      const prompt = [...promptOf(random(3), 32), ...promptOf(number, 1 + random(60))];
      const startAt = 40 * number + random(30);
      const giveUp = { prefill: random(3) === 0 ? random(200) : 1e6, decode: random(3) === 0 ? random(200) : 1e6 };
      const late = { prefill: random(30), decode: random(30) };
      await Promise.all((["prefill", "decode"] as const).map(async (side) => {
        const control = new AbortController();
        await net.clock.sleepUntil(startAt + late[side]);
        const rig = side === "prefill" ? prefill : decode;
        const chunks = leg(rig, number, prompt, { signal: control.signal }).catch((error) => [String(error)]);
        net.clock.sleepUntil(startAt + giveUp[side], control.signal).then(() => control.abort());
        const last = (await chunks).at(-1)!;
        control.abort();
        ends[side].push(typeof last === "string" ? last : last.chunk.finish_reason);
      }));
    }));
    for (const side of ["prefill", "decode"] as const) {
      const count = (reason: string) => ends[side].filter((one) => one === reason).length;
      assert.ok(count("length") > 60 && count("cancelled") > 30, `${side}: ${count("length")} ${count("cancelled")}`);
    }
    await aMoment(net);
    await assertNothingLeft(net, prefill, decode);
  });
}
