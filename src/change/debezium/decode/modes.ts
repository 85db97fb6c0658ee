import type { TypeOptions } from '../types/type-encoder.ts'

/** The connector's settings that say how values are written, where the records' own schemas do not. */
export type DebeziumModes = TypeOptions
