import { parseArrayText } from './array-text.ts'
import type { ColumnType } from './relation.ts'
import type { RowImage } from './row-image.ts'

/** What a view's function sees of a column: always something that JSON can hold without loss. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [name: string]: Value }

/**
 * From PostgreSQL's text form:
 * - boolean: true, false; smallint, integer, oid, real, double precision: number (NaN and infinities: their text)
 * - bigint, numeric, money: string, as JSON numbers would lose digits
 * - timestamptz: `2026-11-22T18:48:24.123456Z`, always six fraction digits, UTC; timestamp: the same without `Z`
 * - json, jsonb: the parsed document; arrays: arrays of the above
 * - everything else (text, uuid, date, enums, bytea as `\x...`, ranges, types never seen): PostgreSQL's text
 *
 * The texts must come from a session with TimeZone UTC, DateStyle ISO, bytea_output hex (runtime/postgres.ts).
 */
export function valueOf(type: ColumnType, text: string | null): Value {
  if (text === null) return null
  if (type.kind === 'array' && type.element) {
    const element = type.element
    return mapNested(parseArrayText(text, element.name === 'box' ? ';' : ','), (part) => valueOf(element, part))
  }
  switch (type.name) {
    case 'bool':
      return text === 't' || text === 'true'
    case 'int2':
    case 'int4':
    case 'oid':
    case 'float4':
    case 'float8': {
      const number = Number(text)
      return Number.isFinite(number) ? number : text
    }
    case 'timestamptz':
      return isoTimestamp(text, 'Z')
    case 'timestamp':
      return isoTimestamp(text, '')
    case 'json':
    case 'jsonb':
      return JSON.parse(text) as Value
    default:
      return text
  }
}

/**
 * The named columns of a row. undefined if the image lacks one of them: then this is not a row for this view (L3).
 */
export function valuesOf(row: RowImage, columns: readonly string[]): Record<string, Value> | undefined {
  const values = emptyRow(columns)
  const { relation, texts } = row
  for (const column of columns) {
    const index = relation.columnIndex.get(column) ?? -1
    const text = texts[index]
    const type = relation.columns[index]?.type
    if (text === undefined || !type) return undefined
    values[column] = valueOf(type, text)
  }
  return values
}

const emptyRows = new WeakMap<readonly string[], Readonly<Record<string, null>>>()

/**
 * An object with these members, in this order, all null: copied from one that has them, as an object that gets a dozen members one
 * by one is moved in memory several times.
 */
export function emptyRow(columns: readonly string[]): Record<string, Value> {
  let empty = emptyRows.get(columns)
  if (!empty) {
    empty = Object.fromEntries(columns.map((column) => [column, null]))
    emptyRows.set(columns, empty)
  }
  return { ...empty }
}

type Nested = readonly (string | null | Nested)[]

function mapNested(parts: Nested, leaf: (text: string | null) => Value): Value {
  return parts.map((part) => (Array.isArray(part) ? mapNested(part as Nested, leaf) : leaf(part as string | null)))
}

const TIMESTAMP = /^(\d{4,})-(\d\d)-(\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:\+00)?$/

/** `2026-11-22 18:48:24.5+00` to `2026-11-22T18:48:24.500000Z`; infinity and years BC stay as PostgreSQL has them. */
function isoTimestamp(text: string, suffix: 'Z' | ''): string {
  return commonTimestamp(text, suffix) ?? anyTimestamp(text, suffix)
}

/** Years of four digits, by place: several times cheaper than the expression, and a row's timestamps are in several documents. */
function commonTimestamp(text: string, suffix: 'Z' | ''): string | undefined {
  if (suffix === 'Z' && !text.endsWith('+00')) return undefined
  const end = suffix === 'Z' ? text.length - 3 : text.length
  const hasFraction = end > 20 && end <= 26 && text[19] === '.'
  if (!(end === 19 || hasFraction) || text[4] !== '-' || text[10] !== ' ' || !isDigit(text, end - 1)) return undefined
  const fraction = text.slice(20, end)
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.length === 6 ? fraction : fraction.padEnd(6, '0')}${suffix}`
}

function isDigit(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  return code >= 0x30 && code <= 0x39
}

function anyTimestamp(text: string, suffix: 'Z' | ''): string {
  const match = TIMESTAMP.exec(text)
  if (!match) return text
  const [, year, month, day, time, fraction = ''] = match
  return `${year}-${month}-${day}T${time}.${fraction.padEnd(6, '0')}${suffix}`
}
