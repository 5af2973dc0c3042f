import assert from "node:assert/strict";
import { test } from "node:test";
import { Counter, Histogram, Registry } from "prom-client";
import { createLog } from "../../src/observe/log.ts";
import { type ExpositionSource, MetricsBridge } from "../../src/observe/metrics_bridge.ts";
import { FakeClock } from "../support/fake_clock.ts";

interface Bench {
  readonly bridge: MetricsBridge;
  readonly clock: FakeClock;
  readonly lines: string[];
  readonly failures: string[];
}

function create(...sources: readonly Partial<ExpositionSource>[]): Bench {
  const clock = new FakeClock();
  const lines: string[] = [];
  const failures: string[] = [];
  const bridge = new MetricsBridge({
    sources: sources.map((source, index) => ({ name: String(index), labels: {}, scrape: () => "", ...source })),
    clock,
    log: createLog({ wallTime: () => 0, write: (line) => void lines.push(line) }),
    isTaken: (name) => name.startsWith("own"),
    failed: (source, reason) => void failures.push(`${source} ${reason}`),
  });
  return { bridge, clock, lines, failures };
}

test("text() has the sources in their order, with their labels and filters", async () => {
  const registry = new Registry();
  new Counter({ name: "vllm:prompt_tokens_total", help: "Tokens", registers: [registry] }).inc(3);
  new Counter({ name: "python_info", help: "No", registers: [registry] });
  const { bridge } = create(
    { scrape: () => registry.metrics(), labels: { worker_id: "1f" }, prefixes: ["vllm:"] },
    { scrape: () => "last 1" },
  );
  assert.equal(
    await bridge.text(),
    "# HELP vllm:prompt_tokens_total Tokens\n# TYPE vllm:prompt_tokens_total counter\n" +
      'vllm:prompt_tokens_total{worker_id="1f"} 3\nlast 1\n',
  );
});

test("a registry that writes OpenMetrics is shown in Prometheus' format", async () => {
  const registry = new Registry();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
  new Counter({ name: "c_total", help: "C", registers: [registry] }).inc(2);
  const histogram = new Histogram({
    name: "h",
    help: "H",
    buckets: [1],
    registers: [registry],
    enableExemplars: true,
  });
  histogram.observe({ value: 0.5, exemplarLabels: { traceId: "t" } } as never);
  const { bridge, lines } = create({ scrape: () => registry.metrics(), labels: { w: "1" } });
  assert.equal(
    await bridge.text(),
    '# HELP c_total C\n# TYPE c_total counter\nc_total{w="1"} 2\n' +
      '# HELP h H\n# TYPE h histogram\nh_bucket{le="1",w="1"} 1\nh_bucket{le="+Inf",w="1"} 1\n' +
      'h_sum{w="1"} 0.5\nh_count{w="1"} 1\n',
  );
  assert.deepEqual(lines, []);
});

test("a source that fails is left out and counted; the log hears of changes only", async () => {
  let text: unknown = "a 1\n";
  const { bridge, failures, lines } = create({
    name: "engine",
    scrape() {
      if (text === null) throw new Error("not now");
      return text as string;
    },
  }, { scrape: () => "b 1\n" });
  const scrape = async (next: unknown, times = 1): Promise<void> => {
    text = next;
    for (let i = 0; i < times; i++) {
      assert.equal(await bridge.text(), text === "a 1\n" ? "a 1\nb 1\n" : "b 1\n");
    }
  };
  await scrape("a 1\n");
  await scrape(null, 3);
  await scrape("<html>", 2);
  await scrape(undefined);
  await scrape("a 1\n", 2);
  await scrape(null);
  assert.deepEqual(failures, [
    ...Array(3).fill("engine error"),
    ...Array(3).fill("engine invalid"),
    "engine error",
  ]);
  assert.equal(lines.length, 4);
  assert.match(lines[0]!, /WARN .*Leaving a metrics source of the engine out.* source=engine reason=error .*not now/);
  assert.match(lines[1]!, /reason=invalid .*line 1 is no line of an exposition/);
  assert.match(lines[2]!, /INFO .*back in \/metrics source=engine/);
  assert.match(lines[3]!, /reason=error/);
});

test("a source that hangs has 2 s, is not asked again, and comes back when it answers", async () => {
  const held = Promise.withResolvers<string>();
  let calls = 0;
  const { bridge, clock, failures, lines } = create({
    scrape() {
      return ++calls === 1 ? held.promise : Promise.resolve("a 2\n");
    },
  }, { scrape: () => "b 1\n" });
  const [first, second] = [bridge.text(), bridge.text()];
  await clock.advance(1999);
  assert.equal(await Promise.race([first, "waiting"]), "waiting");
  await clock.advance(1);
  assert.deepEqual([await first, await second], ["b 1\n", "b 1\n"]);
  assert.equal(await bridge.text(), "b 1\n", "a later scrape does not wait for it again");
  assert.deepEqual([calls, failures], [1, ["0 timeout", "0 timeout", "0 timeout"]]);
  held.resolve("a 1\n");
  await clock.settle();
  assert.equal(await bridge.text(), "a 2\nb 1\n");
  assert.equal(lines.length, 2);
  assert.equal(clock.pendingTimers, 0);
});

test("scrapes at the same time share one call", async () => {
  let calls = 0;
  const { bridge } = create({ scrape: () => Promise.resolve(`a ${++calls}\n`) });
  assert.deepEqual(await Promise.all([bridge.text(), bridge.text()]), ["a 1\n", "a 1\n"]);
  assert.equal(await bridge.text(), "a 2\n");
});

test("families under the worker's names are refused, and the log says so once", async () => {
  let text = "own_uptime 1\na 1\n";
  const { bridge, failures, lines } = create({ scrape: () => text });
  assert.equal(await bridge.text(), "a 1\n");
  assert.equal(await bridge.text(), "a 1\n");
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /WARN .*rename them source=0 families="?own_uptime is taken by the worker"?/);
  text = "a 1\n";
  await bridge.text();
  text = "own_uptime 1\n";
  assert.equal(await bridge.text(), "");
  assert.equal(lines.length, 2);
  assert.deepEqual(failures, []);
});

test("an exposition of a megabyte is shown whole, one of 17 is refused", async () => {
  const many = Array.from({ length: 10_000 }, (_, n) => `vllm:x{engine="${n}",pad="${"p".repeat(80)}"} ${n}\n`).join(
    "",
  );
  const { bridge, failures } = create(
    { scrape: () => many, labels: { dynamo_namespace: "dynamo", worker_id: "1f" } },
    { scrape: () => "x".repeat(17 * 1024 * 1024) },
  );
  const lines = (await bridge.text()).split("\n");
  assert.equal(lines.length, 10_001);
  assert.ok(lines[9_999]!.startsWith('vllm:x{dynamo_namespace="dynamo",engine="9999",pad="ppp'));
  assert.deepEqual(failures, ["1 too_large"]);
});

test("a line of a megabyte is told from a good one in no time", async () => {
  for (
    const line of [
      `a{b="${"\\\\".repeat(500_000)} 1`,
      `${"a".repeat(1_000_000)}!`,
      `a${" ".repeat(1_000_000)}x`,
      `a ${"1".repeat(1_000_000)}x`,
      `a 1${" ".repeat(1_000_000)}x`,
    ]
  ) {
    const { bridge, failures } = create({ scrape: () => line });
    assert.equal(await bridge.text(), "");
    assert.deepEqual(failures, ["0 invalid"]);
  }
});
