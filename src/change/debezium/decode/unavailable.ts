import type { ColumnType } from '../../relation.ts'
import { compileType } from '../types/compile-type.ts'
import { formOf, type FieldSchema } from './field-schema.ts'
import type { Json } from './json-value.ts'
import type { DebeziumModes } from './modes.ts'

/** What stands in an event for an unchanged TOAST value (debezium-events.md, section 5); null where that is a null. */
export function placeholderOf(type: ColumnType, modes: DebeziumModes, schema: FieldSchema | null): Json {
  const written = type.kind === 'array' && type.element ? type.element : type
  const form = formOf(written, modes, type.kind === 'array' ? (schema?.items ?? null) : schema)
  return JSON.parse(compileType(type, form?.modes ?? modes)?.unavailable ?? 'null') as Json
}

/** Whether a value that is not null is the placeholder: a string, an array of scalars, or an object of one member. */
export function isPlaceholder(json: Json, placeholder: Json): boolean {
  if (json === placeholder) return true
  if (typeof placeholder !== 'object' || typeof json !== 'object' || !placeholder || !json) return false
  const expected = Object.entries(placeholder)
  const given = Object.entries(json)
  return (
    expected.length === given.length &&
    expected.every(([name, value], index) => given[index]?.[0] === name && given[index][1] === value)
  )
}

const FIXED_LENGTH = new Set(
  (
    'bool int2 int4 int8 oid float4 float8 money char name uuid macaddr macaddr8 ' +
    'date time timetz timestamp timestamptz interval point isbn'
  ).split(' '),
)

/** Values of up to 24 bytes are never moved out of line: this many decimal digits, this many bits. */
const INLINE_DIGITS = 20
const INLINE_BITS = 128

/** Whether values of the type can be large enough to be stored out of line, and so be left out of an update. */
export function canBeToasted(type: ColumnType): boolean {
  if (type.kind === 'enum') return false
  if (type.kind !== 'base') return true
  if (FIXED_LENGTH.has(type.name)) return false
  if (type.name === 'numeric') return type.modifier === -1 || (((type.modifier - 4) >> 16) & 0xffff) > INLINE_DIGITS
  if (type.name === 'bit' || type.name === 'varbit') return type.modifier === -1 || type.modifier > INLINE_BITS
  return true
}
