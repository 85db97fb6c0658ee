import { TrackOpsError } from '../../../runtime/errors.ts'
import { qualifiedName, type Column, type ColumnType, type Relation } from '../../relation.ts'
import type { ColumnText, RowImage } from '../../row-image.ts'
import type { RowSchema } from './field-schema.ts'
import { isInexact, type JsonObject } from './json-value.ts'
import type { DebeziumModes } from './modes.ts'
import { compileTypeDecoder } from './types/compile-type.ts'
import type { TypeDecoder } from './types/type-decoder.ts'
import { canBeToasted, isPlaceholder, placeholderOf } from './unavailable.ts'

/** What an event's row object is good for. */
export type Trust =
  /** Every column that it has. */
  | 'all'
  /** Every column but those whose null may be an unchanged TOAST value. */
  | 'all-but-unsure-nulls'
  /** The replica identity alone: the rest are nulls, defaults and fallbacks (debezium-events.md 4.2). */
  | 'identity'

/** The rows of one relation, as Debezium writes them. Compiled once a relation. */
export interface RowDecoder {
  /**
   * null if a number has lost digits that matter: parse the record exactly, and come again.
   *
   * @throws TrackOpsError DECODE naming the column
   */
  decode(row: JsonObject, trust: Trust, isSnapshot: boolean): RowImage | null
}

interface ColumnDecoder {
  readonly name: string
  /** The name of something that every object has: an absent field must not be read as that. */
  readonly isInherited: boolean
  readonly isIdentity: boolean
  readonly placeholder: unknown
  readonly isNullUnsure: boolean
  /** Of `name`, Debezium writes null while it streams, whatever the value is. */
  readonly isNullInStream: boolean
  /** Of some types it writes null for values that it cannot convert. */
  readonly isNullForValues: boolean
  readonly type: TypeDecoder
  readonly column: Column
}

export function createRowDecoder(relation: Relation, modes: DebeziumModes, rowSchema: RowSchema | null): RowDecoder {
  const columns = relation.columns.map((column): ColumnDecoder => {
    const { name, type, isIdentity } = column
    const schema = rowSchema?.fields.get(name) ?? null
    const placeholder = placeholderOf(type, modes, schema)
    return {
      name,
      isInherited: name in Object.prototype,
      isIdentity,
      placeholder,
      isNullUnsure: placeholder === null && !isAlwaysSent(column, relation) && canBeToasted(type),
      isNullInStream: type.name === 'name',
      isNullForValues: isNullForValues(type),
      type: compileTypeDecoder(type, modes, schema),
      column,
    }
  })

  return {
    decode(row, trust, isSnapshot) {
      const texts: (ColumnText | undefined)[] = []
      let isComplete = true
      for (const column of columns) {
        let text: ColumnText | undefined
        const json = column.isInherited && !Object.hasOwn(row, column.name) ? undefined : row[column.name]
        if (json === undefined || (trust === 'identity' && !column.isIdentity)) text = undefined
        else if (json === null) text = nullText(column, trust, isSnapshot)
        else if (column.type.needsExactIntegers && isInexact(json)) return null
        else if (isPlaceholder(json, column.placeholder as never)) text = undefined
        else text = decodeValue(relation, column, json)
        if (text === undefined) isComplete = false
        texts.push(text)
      }
      return isComplete
        ? { kind: 'complete', relation, texts: texts as readonly ColumnText[] }
        : { kind: 'partial', relation, texts }
    },
  }
}

function nullText(column: ColumnDecoder, trust: Trust, isSnapshot: boolean): null | undefined {
  if (column.isNullForValues || (column.isNullInStream && !isSnapshot)) return undefined
  // An identity outside of FULL has no NULL.
  if (trust === 'identity') return undefined
  return trust === 'all-but-unsure-nulls' && column.isNullUnsure ? undefined : null
}

/** An update has every column of an index that is the identity; under FULL, the old row has what the new one lacks. */
function isAlwaysSent({ isIdentity }: Column, { replicaIdentity }: Relation): boolean {
  return isIdentity && replicaIdentity !== 'full'
}

/** An empty `bit varying(1)`; an array of an enum in which there is a NULL; every array of bits. */
function isNullForValues({ name, modifier, element }: ColumnType): boolean {
  if (element) return element.kind === 'enum' || element.name === 'bit'
  return name === 'varbit' && modifier === 1
}

type Value = Parameters<TypeDecoder['decode']>[0]

function decodeValue(relation: Relation, { column, type }: ColumnDecoder, json: Value): string | undefined {
  try {
    return type.decode(json)
  } catch (cause) {
    // Parsers quote what they could not read: no cause then.
    const reason = cause instanceof SyntaxError && cause.message.startsWith('not ') ? `: ${cause.message}` : ''
    throw new TrackOpsError(
      'DECODE',
      `cannot read column ${column.name} of ${qualifiedName(relation)} as ${column.type.name}${reason}. ` +
        `Has its type changed since, or are the decimal, time, interval or binary modes not the connector's?`,
      { details: { table: qualifiedName(relation), column: column.name, type: column.type.name } },
    )
  }
}
