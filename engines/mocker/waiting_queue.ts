/**
 * Requests that wait to be scheduled.
 *
 * @module
 */
import type { EngineRequest } from "./engine_request.ts";
import { LengthMoments } from "./forward_pass.ts";

const FIRST_SLOTS = 64;

/** A double-ended queue that knows the moments of the lengths in it. */
export class WaitingQueue {
  /** Lengths of those that wait for their first token. */
  readonly prefill = new LengthMoments();
  /** Lengths of those that have some. */
  readonly decode = new LengthMoments();
  readonly #isDecode: (request: EngineRequest) => boolean;
  readonly #length: (request: EngineRequest) => number;
  #slots: (EngineRequest | undefined)[] = new Array(FIRST_SLOTS);
  #head = 0;
  #count = 0;

  /**
   * Makes an empty queue.
   *
   * @param isDecode Whether a request counts as a decoding one.
   * @param length What it counts for; must not change while it is in the queue. @unit tokens
   */
  constructor(isDecode: (request: EngineRequest) => boolean, length: (request: EngineRequest) => number) {
    this.#isDecode = isDecode;
    this.#length = length;
  }

  /** How many wait. */
  get size(): number {
    return this.#count;
  }

  /** The one at a place; 0 is the head. */
  at(place: number): EngineRequest {
    return this.#slots[(this.#head + place) & (this.#slots.length - 1)]!;
  }

  /** Adds one at the end. */
  push(request: EngineRequest): void {
    this.#grow();
    this.#slots[(this.#head + this.#count++) & (this.#slots.length - 1)] = request;
    this.count(request);
  }

  /** Adds one at the head. */
  unshift(request: EngineRequest): void {
    this.#grow();
    this.#head = (this.#head - 1) & (this.#slots.length - 1);
    this.#slots[this.#head] = request;
    this.#count++;
    this.count(request);
  }

  /** Takes the head. */
  shift(): EngineRequest | undefined {
    if (this.#count === 0) return undefined;
    const request = this.#slots[this.#head]!;
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#count--;
    this.discount(request);
    return request;
  }

  /** Puts one before the first that came after it. */
  insertByOrder(request: EngineRequest): void {
    let place = 0;
    while (place < this.#count && this.at(place).order <= request.order) place++;
    const rest = this.#takeFrom(place);
    this.push(request);
    for (const other of rest) this.push(other);
  }

  /** Takes one out, wherever it is; whether it was there. */
  remove(request: EngineRequest): boolean {
    for (let place = 0; place < this.#count; place++) {
      if (this.at(place) !== request) continue;
      const rest = this.#takeFrom(place);
      for (let i = 1; i < rest.length; i++) this.push(rest[i]!);
      return true;
    }
    return false;
  }

  /** Takes all, in order. */
  takeAll(): EngineRequest[] {
    return this.#takeFrom(0);
  }

  #takeFrom(place: number): EngineRequest[] {
    const rest: EngineRequest[] = [];
    for (let i = place; i < this.#count; i++) rest.push(this.at(i));
    for (const request of rest) this.discount(request);
    const mask = this.#slots.length - 1;
    for (let i = place; i < this.#count; i++) this.#slots[(this.#head + i) & mask] = undefined;
    this.#count = place;
    return rest;
  }

  /** Counts one that waits elsewhere into the lengths. */
  count(request: EngineRequest): void {
    (this.#isDecode(request) ? this.decode : this.prefill).add(this.#length(request));
  }

  /** No longer counts one that waited elsewhere. */
  discount(request: EngineRequest): void {
    (this.#isDecode(request) ? this.decode : this.prefill).remove(this.#length(request));
  }

  #grow(): void {
    if (this.#count < this.#slots.length) return;
    const slots: (EngineRequest | undefined)[] = new Array(2 * this.#slots.length);
    for (let i = 0; i < this.#count; i++) slots[i] = this.at(i);
    this.#slots = slots;
    this.#head = 0;
  }
}
