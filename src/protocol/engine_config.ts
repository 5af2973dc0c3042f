/**
 * What an engine says about itself; most of it ends up in the model card.
 *
 * @module
 */

/** What an engine says about itself once it has started. Members left out are not advertised. */
export interface EngineConfig {
  /** Model name or path; not empty. */
  readonly model: string;
  /** Name clients use; a worker option of the same name wins. @default the model */
  readonly servedModelName?: string;
  /** Further names clients may use. */
  readonly modelAliases?: readonly string[];
  /** Longest prompt plus output. @unit tokens */
  readonly contextLength?: number;
  /** Tokens in a KV cache block. @default 16 */
  readonly kvCacheBlockSize?: number;
  /** KV cache blocks, per data-parallel rank. */
  readonly totalKvBlocks?: number;
  /** Most sequences that run at once. */
  readonly maxNumSeqs?: number;
  /** Most tokens in one step. */
  readonly maxNumBatchedTokens?: number;
  /** Most LoRA adapters on the device. */
  readonly maxGpuLoraCount?: number;
  /** Data-parallel ranks. @default 1 */
  readonly dataParallelSize?: number;
  /** First rank of this worker. @default 0 */
  readonly dataParallelStartRank?: number;
  /** Whether EAGLE speculation is on. @default false */
  readonly enableEagle?: boolean;
  /** Rendezvous host of a prefill worker; advertised together with the port. */
  readonly bootstrapHost?: string;
  /** Rendezvous port of a prefill worker. */
  readonly bootstrapPort?: number;
  /** Anything else routers should know, copied to the model card. */
  readonly runtimeData?: Readonly<Record<string, unknown>>;
}
