/**
 * Tools for testing engines: a fake context, and a worker with a frontend in one process.
 *
 * @module
 */
export { type CancellingContext, cancellingContext, fakeContext } from "./context.ts";
export {
  ClientError,
  type Loopback,
  type LoopbackOptions,
  type LoopbackRequest,
  type LoopbackRequestOptions,
  startLoopback,
} from "./loopback.ts";
export type { Log, LogFields } from "../observe/log.ts";
export type { ReceivedError } from "../protocol/error.ts";
