import { TrackOpsError } from '../../runtime/errors.ts'
import { qualifiedName, type Column, type Relation } from '../relation.ts'
import type { RowImage } from '../row-image.ts'
import { columnDefault } from './column-default.ts'
import { rulesFor, type ColumnRule } from './column-rule.ts'
import { jsonString } from './json-text.ts'
import { passes } from './name-filter.ts'
import type { DebeziumOptions } from './options.ts'
import { compileType } from './types/compile-type.ts'

/** The rows of one relation as JSON objects. Compiled once a relation. */
export interface RowEncoder {
  /** The new row. What the server did not send is taken from the old one, or else is the placeholder. */
  after(row: RowImage, before: RowImage | null, isSnapshot: boolean): string
  /** The old row. What the server did not send reads as default, null or fallback (debezium-events.md 4.2). */
  before(row: RowImage): string
  /** The key of the new row; null for a table without one. */
  key(row: RowImage, before: RowImage | null, isSnapshot: boolean): string | null
  /** The key of the old row. */
  oldKey(row: RowImage): string | null
  /** False if both rows are whole and no column that is written differs. */
  differ(before: RowImage, after: RowImage): boolean
}

interface ColumnEncoder {
  readonly index: number
  /** `"name":` */
  readonly member: string
  readonly encode: (text: string | null, isSnapshot: boolean) => string
  readonly missing: string
  readonly unavailable: string
}

export function createRowEncoder(relation: Relation, options: DebeziumOptions): RowEncoder {
  const table = qualifiedName(relation)
  const columnFilter = { include: options.columnInclude, exclude: options.columnExclude }
  const valueColumns = relation.columns.flatMap((column, index) => {
    const name = `${table}.${column.name}`
    if (!passes(columnFilter, name)) return []
    const rules = rulesFor(options.columnRules, name)
    return compileColumn(column, index, options, options.valueReplaceNullWithDefault, rules)
  })
  const keyIndexes = keyColumns(relation, table, options)
  const keyEncoders = keyIndexes.flatMap((index) => {
    const column = relation.columns[index]
    return column ? compileColumn(column, index, options, options.keyReplaceNullWithDefault, []) : []
  })

  const write = (encoders: readonly ColumnEncoder[], textOf: (column: ColumnEncoder) => string): string => {
    let json = ''
    for (const column of encoders) json += `${json === '' ? '{' : ','}${column.member}${textOf(column)}`
    return json === '' ? '{}' : `${json}}`
  }

  const afterText = (row: RowImage, before: RowImage | null, isSnapshot: boolean) => {
    return (column: ColumnEncoder): string => {
      const text = row.texts[column.index] ?? (row.texts[column.index] === null ? null : before?.texts[column.index])
      return text === undefined ? column.unavailable : column.encode(text, isSnapshot)
    }
  }
  const beforeText = (row: RowImage) => {
    return (column: ColumnEncoder): string => {
      const text = row.texts[column.index]
      return text === undefined ? column.missing : column.encode(text, false)
    }
  }

  const writeKey = (textOf: (column: ColumnEncoder) => string): string | null => {
    return keyEncoders.length === 0 ? null : write(keyEncoders, textOf)
  }

  return {
    after: (row, before, isSnapshot) => write(valueColumns, afterText(row, before, isSnapshot)),
    before: (row) => write(valueColumns, beforeText(row)),
    key: (row, before, isSnapshot) => writeKey(afterText(row, before, isSnapshot)),
    oldKey: (row) => writeKey(beforeText(row)),
    differ(before, after) {
      if (before.kind === 'partial' || after.kind === 'partial') return true
      return valueColumns.some(({ index }) => before.texts[index] !== after.texts[index])
    },
  }
}

function compileColumn(
  column: Column,
  index: number,
  options: DebeziumOptions,
  replacesNull: boolean,
  rules: readonly ColumnRule[],
): ColumnEncoder[] {
  const type = compileType(column.type, options)
  if (!type) return []
  const defaultText = columnDefault(column, type)
  const masked = rules.length > 0 && type.isCharacters ? maskedType(column, rules) : null
  const nullText = masked?.nullText ?? (replacesNull && defaultText !== null ? defaultText : 'null')
  const encodeText = masked?.encode ?? type.encode
  const orNull = (json: string): string => (json === 'null' ? nullText : json)
  const missing = column.isNullable ? nullText : (defaultText ?? type.fallback)
  return [
    {
      index,
      member: `${jsonString(adjustedName(column.name, options))}:`,
      encode(text, isSnapshot) {
        if (text === null) return nullText
        try {
          return orNull(encodeText(text, isSnapshot))
        } catch (error) {
          throw notEncodable(column, error)
        }
      },
      missing: masked?.mask(missing) ?? missing,
      unavailable: orNull(masked?.mask(type.unavailable) ?? type.unavailable),
    },
  ]
}

/** A text that its type should not have. The value itself is kept out of the message. */
function notEncodable(column: Column, cause: unknown): TrackOpsError {
  const { name } = column.type
  return new TrackOpsError('DECODE', `cannot read a value of column ${column.name}, type ${name}`, {
    details: { column: column.name, type: name },
    cause,
  })
}

interface MaskedType {
  readonly encode: (text: string) => string
  /** undefined: NULL is treated as without the mask. */
  readonly nullText: string | undefined
  readonly mask: (json: string) => string
}

function maskedType(column: Column, rules: readonly ColumnRule[]): MaskedType {
  const { name, modifier } = column.type
  const length = (name === 'varchar' || name === 'bpchar') && modifier > 4 ? modifier - 4 : null
  const apply = (text: string | null): string | null => {
    return rules.reduce<string | null>((value, rule) => rule.apply(value, length), text)
  }
  const write = (text: string | null): string => (text === null ? 'null' : jsonString(text))
  const ofNull = apply(null)
  return {
    encode: (text) => write(apply(text)),
    nullText: ofNull === null ? undefined : jsonString(ofNull),
    // Characters are always written as a JSON string, or null.
    mask: (json) => (json === 'null' ? write(ofNull) : write(apply(JSON.parse(json) as string))),
  }
}

function keyColumns(relation: Relation, table: string, options: DebeziumOptions): readonly number[] {
  const configured = options.messageKeys.find((key) => key.tables.test(table))
  if (!configured) return relation.keyColumns
  return configured.columns.flatMap((name) => relation.columnIndex.get(name) ?? [])
}

/** `field.name.adjustment.mode=avro`: what an Avro name may not have becomes `_`. */
function adjustedName(name: string, options: DebeziumOptions): string {
  if (options.fieldNameAdjustmentMode === 'none') return name
  const adjusted = name.replaceAll(/[^A-Za-z0-9_]/g, '_')
  return /^\d/.test(adjusted) ? `_${adjusted}` : adjusted
}
