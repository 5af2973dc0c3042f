/**
 * The prefill worker's half of a session: it says what happens next.
 *
 * @source dynamo-mocker 1.6.1, `common/handoff.rs`, `HandoffCoordinatorCore`; dynamo-llm 1.6.1, `mocker/handoff.rs`
 * @module
 */
import { transferMs, type TransferTiming } from "../handoff.ts";
import { refusal } from "./frame.ts";
import type { ActionOutcome, DestinationAction, HandoffOrder, Message } from "./message.ts";

/** What a session makes its surroundings do. */
export interface SourceSteps {
  /** Says something to the decode worker. */
  send(message: Message): void;
  /** Puts the prompt into the queue; `sourceHeld` follows when it is computed. */
  submit(): void;
  /** Waits that long; `transferred` follows. @param delayMs @unit milliseconds */
  transfer(delayMs: number): void;
  /** The session may last that much longer than its own time. @unit milliseconds */
  extend(ms: number): void;
  /** Lets go of the blocks of the prompt, at the end of a pass if one is under way; `released` follows. */
  release(): void;
  /** The session has ended. @param failure Why, if the prompt did not arrive. */
  over(failure: string | undefined): void;
}

interface Issued {
  readonly name: DestinationAction;
  outcome: ActionOutcome | undefined;
}

/** A hand-over, from the meeting of both workers to its end. Nothing happens after `over`. */
export class SourceSession {
  readonly #handoffId: string;
  readonly #order: HandoffOrder;
  readonly #steps: SourceSteps;
  readonly #issued = new Map<number, Issued>();
  /** Steps of both workers have numbers; those here count, though nobody sees them. */
  #nextId = 0;
  #isAccepted = false;
  #timing: TransferTiming | undefined;
  #missingTokens: number | undefined;
  #isOver = false;

  /** Prepares a session. */
  constructor(handoffId: string, order: HandoffOrder, steps: SourceSteps) {
    this.#handoffId = handoffId;
    this.#order = order;
    this.#steps = steps;
  }

  /** Both workers are there. */
  begin(): void {
    this.#steps.send("Registered");
    if (this.#order === "SourceFirst") this.#submit();
    else this.#issue("ReserveDestination");
  }

  /** The prompt is computed and its blocks are kept. */
  sourceHeld(timing: TransferTiming): void {
    if (this.#isOver || this.#timing !== undefined) return;
    this.#timing = timing;
    this.#steps.send({ Fact: { SourceHeld: { handoff_id: this.#handoffId, transfer_timing: timing } } });
    if (timing.mode === "full_prompt") this.#steps.extend(transferMs(timing, 0));
    if (this.#order === "SourceFirst") this.#issue("ReserveDestination");
    else this.#transfer();
  }

  /** The time of the transfer is over. */
  transferred(): void {
    if (!this.#isOver) this.#issue("ActivateDestination");
  }

  /** The blocks of the prompt are free. */
  released(): void {
    if (this.#isOver) return;
    this.#steps.send("Complete");
    this.#end(undefined);
  }

  /** Takes what the decode worker says. */
  receive(message: Message): void {
    if (this.#isOver) return;
    if (typeof message === "string") {
      this.fail(message === "Overloaded" ? "the decode worker is overloaded" : unexpected(message));
    } else if ("Abort" in message) this.fail(message.Abort.message);
    else if ("ProtocolError" in message) this.fail(message.ProtocolError.message);
    else if ("ActionAck" in message) this.#acknowledged(message.ActionAck.action_id, message.ActionAck.outcome);
    else if ("Fact" in message && "DestinationReserved" in message.Fact) {
      const { handoff_id, transferable_prompt_tokens } = message.Fact.DestinationReserved;
      if (handoff_id === this.#handoffId) this.#reserved(transferable_prompt_tokens);
      else this.fail(`the decode worker means the hand-over ${handoff_id}`);
    } else this.fail(unexpected(Object.keys(message).join()));
  }

  /** Ends the session; the decode worker is told why. */
  fail(why: string): void {
    if (this.#isOver) return;
    this.#steps.send(refusal("Abort", why));
    this.#end(why);
  }

  #acknowledged(id: number, outcome: ActionOutcome): void {
    const issued = this.#issued.get(id);
    if (issued === undefined) return this.fail(`the decode worker acknowledges action ${id}, which nobody asked for`);
    if (issued.outcome !== undefined) {
      const isSame = JSON.stringify(issued.outcome) === JSON.stringify(outcome);
      return isSame ? undefined : this.fail(`the decode worker acknowledges action ${id} in two ways`);
    }
    issued.outcome = outcome;
    if (typeof outcome === "object") return this.fail(`${issued.name} failed: ${outcome.Failed}`);
    const isReserve = issued.name === "ReserveDestination";
    if (outcome !== (isReserve ? "Accepted" : "Applied")) return this.fail(`${issued.name} cannot be ${outcome}`);
    if (isReserve) {
      this.#isAccepted = true;
      return;
    }
    this.#nextId++;
    this.#steps.release();
  }

  #reserved(missingTokens: number): void {
    if (this.#missingTokens !== undefined) return;
    if (!this.#isAccepted) return this.fail("the decode worker has room that it was not asked for");
    this.#missingTokens = missingTokens;
    if (this.#order === "SourceFirst") this.#transfer();
    else this.#submit();
  }

  #submit(): void {
    this.#nextId++;
    this.#steps.submit();
  }

  #transfer(): void {
    const ms = transferMs(this.#timing!, this.#missingTokens!);
    if (this.#timing!.mode === "destination_missing") this.#steps.extend(ms);
    this.#nextId++;
    this.#steps.transfer(ms);
  }

  #issue(name: DestinationAction): void {
    const id = this.#nextId++;
    this.#issued.set(id, { name, outcome: undefined });
    this.#steps.send({ Action: { id, action: { [name]: { handoff_id: this.#handoffId } } } });
  }

  #end(failure: string | undefined): void {
    this.#isOver = true;
    this.#steps.over(failure);
  }
}

function unexpected(what: string): string {
  return `the decode worker says ${what}, which is not its part`;
}
