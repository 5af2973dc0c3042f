/**
 * A simulated network for tests that wait in real time.
 *
 * @module
 */
import type { Net } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { Network } from "../../src/testing/simulation/network.ts";
import { SeededRandom } from "../../src/testing/simulation/seeded_random.ts";
import { Timeline } from "../../src/testing/simulation/timeline.ts";

/** Time that passes by itself whenever there is something to happen. */
class RunningTimeline extends Timeline {
  #added = 0;
  #isRunning = false;

  override after(delayMs: number, fire: () => void, owner: string): Disposable {
    this.#added++;
    this.#start();
    return super.after(delayMs, fire, owner);
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const added = this.#added;
    this.run(realPlatform.clock, () => false, Infinity).then(() => {
      this.#isRunning = false;
      if (this.#added !== added) this.#start();
    });
  }
}

/** TCP of one simulated host. */
export function simulatedNet(): Net {
  const quality = { latencyMs: 1, jitter: 0.5, windowBytes: 262_144, splitting: 0.1 };
  const random = new SeededRandom("contract");
  return new Network({ timeline: new RunningTimeline(), random, quality: () => quality }).host("127.0.0.1");
}
