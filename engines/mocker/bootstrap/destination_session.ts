/**
 * The decode worker's half of a session: it does what the prefill worker says.
 *
 * @source dynamo-llm 1.6.1, `mocker/handoff.rs`, `run_destination_session`
 * @module
 */
import { transferMs, type TransferTiming } from "../handoff.ts";
import { refusal } from "./frame.ts";
import { actionOf, type ActionOutcome, type IssuedAction, type Message } from "./message.ts";

/** Most actions of a session. @source dynamo-llm 1.6.1, `mocker/handoff.rs`: outcomes that are kept */
const MOST_ACTIONS = 16;

/** What a session makes its surroundings do. */
export interface DestinationSteps {
  /** Says something to the prefill worker. */
  send(message: Message): void;
  /** The prefill worker has its part: the time that a session may last begins. */
  registered(): void;
  /** The session may last that much longer than its own time. @unit milliseconds */
  extend(ms: number): void;
  /** Asks for room; `reserved` follows, also at once. @returns Why there can never be any, if so. */
  reserve(): string | undefined;
  /** Lets the request decode, at the end of a pass if one is under way; `activated` follows. */
  activate(): void;
  /** Gives the room back. */
  withdraw(): void;
  /** The session has ended. @param failure Why, if the prompt did not arrive. */
  over(failure: string | undefined): void;
}

/** A hand-over, from the meeting of both workers to its end. Nothing happens after `over`. */
export class DestinationSession {
  readonly #handoffId: string;
  readonly #steps: DestinationSteps;
  readonly #outcomes = new Map<number, { readonly what: string; readonly outcome: ActionOutcome | undefined }>();
  #isRegistered = false;
  #timing: TransferTiming | undefined;
  #missingTokens: number | undefined;
  #isAccepted = false;
  #isReservedSent = false;
  #activation: IssuedAction | undefined;
  #isActive = false;
  #isOver = false;

  /** Prepares a session. */
  constructor(handoffId: string, steps: DestinationSteps) {
    this.#handoffId = handoffId;
    this.#steps = steps;
  }

  /** Whether the prompt has arrived, so that only the other side's end is missing. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** There is room; `missingTokens` of the prompt have to be transferred. */
  reserved(missingTokens: number): void {
    if (this.#isOver || this.#missingTokens !== undefined) return;
    this.#missingTokens = missingTokens;
    this.#extend();
    this.#sendReserved();
  }

  /** The request decodes. */
  activated(): void {
    if (this.#isOver || this.#activation === undefined) return;
    this.#isActive = true;
    this.#acknowledge(this.#activation, "Applied");
    this.#activation = undefined;
  }

  /** Takes what the prefill worker says. */
  receive(message: Message): void {
    if (this.#isOver) return;
    if (message === "Registered") this.#registered();
    else if (message === "Complete") this.#completed();
    else if (message === "Overloaded") this.fail("the prefill worker is overloaded");
    else if ("Abort" in message) this.fail(message.Abort.message);
    else if ("ProtocolError" in message) this.fail(message.ProtocolError.message);
    else if ("Action" in message) this.#act(message.Action);
    else if ("Fact" in message && "SourceHeld" in message.Fact) {
      this.#held(message.Fact.SourceHeld.handoff_id, message.Fact.SourceHeld.transfer_timing);
    } else this.fail(`the prefill worker says ${Object.keys(message).join()}, which is not its part`);
  }

  /** Ends the session; the prefill worker is told why. */
  fail(why: string): void {
    if (this.#isOver) return;
    this.#steps.send(refusal("Abort", why));
    this.#end(why);
  }

  #registered(): void {
    if (this.#isRegistered) return this.fail("the prefill worker registers twice");
    this.#isRegistered = true;
    this.#steps.registered();
  }

  #held(handoffId: string, timing: TransferTiming): void {
    if (handoffId !== this.#handoffId) return this.fail(`the prefill worker means the hand-over ${handoffId}`);
    if (!this.#isRegistered) return this.fail("the prefill worker holds a prompt before it registers");
    if (!Number.isFinite(transferMs(timing, timing.full_prompt_tokens))) {
      return this.fail("the transfer would never end");
    }
    if (this.#timing !== undefined) {
      const isSame = JSON.stringify(this.#timing) === JSON.stringify(timing);
      return isSame ? undefined : this.fail("the prefill worker changes the time of the transfer");
    }
    this.#timing = timing;
    this.#extend();
  }

  #act(action: IssuedAction): void {
    const { name, handoffId } = actionOf(action);
    const what = `${name} of ${handoffId}`;
    const known = this.#outcomes.get(action.id);
    if (known !== undefined) {
      if (known.what !== what) this.fail(`action ${action.id} has two meanings`);
      else if (known.outcome !== undefined) this.#acknowledge(action, known.outcome);
      return;
    }
    if (this.#activation !== undefined) return this.fail(`${name} before the last action was acknowledged`);
    if (this.#outcomes.size >= MOST_ACTIONS) return this.fail(`more than ${MOST_ACTIONS} actions`);
    this.#outcomes.set(action.id, { what, outcome: undefined });
    if (handoffId !== this.#handoffId) this.#acknowledge(action, { Failed: `the hand-over is ${this.#handoffId}` });
    else if (name === "ReserveDestination") this.#reserve(action);
    else if (name === "ActivateDestination") this.#activate(action);
    else if (name === "CancelDestination") {
      this.#isActive = false;
      this.#steps.withdraw();
      this.#acknowledge(action, "Applied");
    } else this.#acknowledge(action, { Failed: "not an action of a decode worker" });
  }

  #reserve(action: IssuedAction): void {
    if (this.#isAccepted) return this.#acknowledge(action, { Failed: "room was asked for before" });
    const failure = this.#steps.reserve();
    if (this.#isOver) return;
    if (failure !== undefined) {
      this.#acknowledge(action, { Failed: failure });
      return this.fail(failure);
    }
    this.#isAccepted = true;
    this.#acknowledge(action, "Accepted");
    this.#sendReserved();
  }

  #activate(action: IssuedAction): void {
    if (this.#missingTokens === undefined || this.#isActive) {
      return this.#acknowledge(action, { Failed: "there is no room that waits for a prompt" });
    }
    this.#activation = action;
    this.#steps.activate();
  }

  #completed(): void {
    if (!this.#isActive) return this.fail("the prefill worker ends the hand-over before the request decodes");
    this.#end(undefined);
  }

  #sendReserved(): void {
    if (!this.#isAccepted || this.#missingTokens === undefined || this.#isReservedSent) return;
    this.#isReservedSent = true;
    const fact = { handoff_id: this.#handoffId, transferable_prompt_tokens: this.#missingTokens };
    this.#steps.send({ Fact: { DestinationReserved: fact } });
  }

  #extend(): void {
    if (this.#timing === undefined) return;
    if (this.#timing.mode === "full_prompt" || this.#missingTokens !== undefined) {
      this.#steps.extend(transferMs(this.#timing, this.#missingTokens ?? 0));
    }
  }

  #acknowledge(action: IssuedAction, outcome: ActionOutcome): void {
    const { name, handoffId } = actionOf(action);
    this.#outcomes.set(action.id, { what: `${name} of ${handoffId}`, outcome });
    this.#steps.send({ ActionAck: { action_id: action.id, outcome } });
  }

  #end(failure: string | undefined): void {
    this.#isOver = true;
    this.#steps.over(failure);
  }
}
