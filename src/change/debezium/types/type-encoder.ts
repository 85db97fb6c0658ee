import type { DebeziumOptions } from '../options.ts'

/** How one column's type becomes JSON. Compiled once a column, called once a row. */
export interface TypeEncoder {
  /**
   * From PostgreSQL's text form to JSON text. `'null'` where Debezium gives up on the value.
   * `isSnapshot` matters to infinite dates alone, for which Debezium has two answers.
   */
  readonly encode: (text: string, isSnapshot: boolean) => string
  /** In `before`, for a NOT NULL column that the server did not send (debezium-events.md 4.2). */
  readonly fallback: string
  /** In `after`, for an unchanged TOAST value that the server did not send (section 5). */
  readonly unavailable: string
  /** What a default that is a function call reads as; null: the type never has a default (4.1). */
  readonly functionDefault: string | null
  /** True if literals of this type are taken as defaults (4.1). */
  readonly takesDefaults: boolean
  /** True for the types that `column.mask` and `column.truncate` change. */
  readonly isCharacters: boolean
}

type Part = Partial<TypeEncoder> & Pick<TypeEncoder, 'encode' | 'fallback'>

/** What most types have: no placeholder, no default, no masking. */
export function typeEncoder(part: Part): TypeEncoder {
  return { unavailable: 'null', functionDefault: null, takesDefaults: false, isCharacters: false, ...part }
}

export type TypeOptions = Pick<
  DebeziumOptions,
  | 'decimalHandlingMode'
  | 'binaryHandlingMode'
  | 'hstoreHandlingMode'
  | 'intervalHandlingMode'
  | 'timePrecisionMode'
  | 'moneyFractionDigits'
  | 'includeUnknownDatatypes'
  | 'unavailableValuePlaceholder'
>

/** `unavailable.value.placeholder`: a text, or `hex:` and the bytes. */
export function placeholderBytes(options: TypeOptions): Buffer {
  const placeholder = options.unavailableValuePlaceholder
  return placeholder.startsWith('hex:') ? Buffer.from(placeholder.slice(4), 'hex') : Buffer.from(placeholder)
}
