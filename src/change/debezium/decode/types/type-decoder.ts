import type { Json } from '../json-value.ts'

/** How one column's JSON becomes PostgreSQL's text again. Compiled once a column, called once a row. */
export interface TypeDecoder {
  /**
   * The text form of a value that is not null. undefined where the JSON does not say which text it was: a value that
   * Debezium has rounded or shifted must not be taken for the row's (L3).
   *
   * @throws SyntaxError if this is no JSON of the type
   */
  readonly decode: (json: Exclude<Json, null>) => string | undefined
  /** Integers above 2^53 occur, and their digits matter. */
  readonly needsExactIntegers: boolean
}

export function typeDecoder(decode: TypeDecoder['decode'], needsExactIntegers = false): TypeDecoder {
  return { decode, needsExactIntegers }
}

/** The value is left out: it may be a secret. */
export function misfit(expected: string): never {
  throw new SyntaxError(`not the JSON of ${expected}`)
}

export type TemporalUnit = 'millis' | 'micros' | 'nanos' | 'iso'
