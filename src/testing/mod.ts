/**
 * Tools for testing engines: the conformance kit, a fake context, a worker with a frontend in one process, and simulated
 * lives of a worker.
 *
 * @module
 */
export { type CancellingContext, cancellingContext, fakeContext } from "./context.ts";
export { type ConformanceOptions, runConformance } from "./conformance.ts";
export type { ConformanceRole } from "./conformance_bench.ts";
export {
  assertConformance,
  type CheckResult,
  type ConformanceCheck,
  ConformanceError,
  type ConformanceFailure,
  type ConformanceReport,
  type ViolationKind,
} from "./conformance_report.ts";
export {
  ClientError,
  type Loopback,
  type LoopbackOptions,
  type LoopbackRequest,
  type LoopbackRequestOptions,
  startLoopback,
} from "./loopback.ts";
export type { SimulationFault } from "./simulation/life_plan.ts";
export {
  assertSimulation,
  simulate,
  type SimulatedLife,
  SimulationError,
  type SimulationOptions,
  type SimulationReport,
} from "./simulation/simulate.ts";
export type { Invariant, Violation } from "./simulation/violation.ts";
export type { Log, LogFields, LogRequest, LogSpan } from "../observe/log.ts";
export type { PublicDetails, PublicLimit, PublicMessage, PublicRateLimit, WireError } from "../protocol/error.ts";
export type { DeclaredError, ReceivedError } from "../protocol/received_error.ts";
