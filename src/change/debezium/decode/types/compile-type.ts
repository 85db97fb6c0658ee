import type { ColumnType } from '../../../relation.ts'
import { formOf, type FieldSchema } from '../field-schema.ts'
import type { DebeziumModes } from '../modes.ts'
import { arrayDecoder } from './array.ts'
import { pointDecoder, postgisDecoder, sparseVectorDecoder, vectorDecoder } from './geometry.ts'
import { hstoreDecoder } from './hstore.ts'
import { intervalDecoder } from './interval.ts'
import { floatDecoder, integerDecoder, moneyDecoder, numericDecoder } from './numeric.ts'
import { dateDecoder, timeDecoder, timestampDecoder, timestamptzDecoder, timetzDecoder } from './temporal.ts'
import { bitDecoder, booleanDecoder, byteaDecoder, textDecoder, tstzrangeDecoder, unknownTypeDecoder } from './text.ts'
import { misfit, typeDecoder, type TypeDecoder } from './type-decoder.ts'

/** `schema` is null where the records have none, and then the modes alone say how the type is written. */
export function compileTypeDecoder(type: ColumnType, modes: DebeziumModes, schema: FieldSchema | null): TypeDecoder {
  if (type.kind === 'array') return compileArray(type, modes, schema)
  if (type.kind === 'enum') return textDecoder()
  if (type.kind === 'base' || type.kind === 'range') return compileNamed(type, modes, schema)
  return unknownTypeDecoder(type.name, formOf(type, modes, schema)?.modes ?? modes)
}

function compileArray(type: ColumnType, modes: DebeziumModes, schema: FieldSchema | null): TypeDecoder {
  const { element } = type
  if (!element) return unknownTypeDecoder(type.name, modes)
  const isDomain = element.oid !== element.rootOid
  const modifier = element.modifier === -1 ? type.modifier : element.modifier
  const decoder = isDomain
    ? unknownTypeDecoder(element.name, modes)
    : compileTypeDecoder({ ...element, modifier }, modes, schema?.items ?? null)
  return arrayDecoder(isCutInArrays(element.name, modifier) ? typeDecoder(() => undefined) : decoder, {
    delimiter: element.name === 'box' ? ';' : ',',
    hasArraysAsElements: element.name === 'vector' || element.name === 'halfvec',
  })
}

/** Of the elements of `time[]` Debezium writes milliseconds, of `timetz[]` seconds. */
function isCutInArrays(name: string, modifier: number): boolean {
  return (name === 'time' && (modifier < 0 || modifier > 3)) || name === 'timetz'
}

function compileNamed(type: ColumnType, modes: DebeziumModes, schema: FieldSchema | null): TypeDecoder {
  const form = formOf(type, modes, schema)
  if (!form) return typeDecoder(() => misfit('this type: the record has the schema of another one'))
  switch (type.name) {
    case 'int2':
    case 'int4':
    case 'int8':
    case 'oid':
      return integerDecoder()
    case 'float4':
      return floatDecoder(true)
    case 'float8':
      return floatDecoder(false)
    case 'numeric':
      return numericDecoder(type.modifier, form.modes, form.scale)
    case 'money':
      return moneyDecoder(form.modes, form.scale)
    case 'bool':
      return booleanDecoder()
    case 'bit':
    case 'varbit':
      return bitDecoder(type.modifier, type.name === 'varbit')
    case 'bytea':
      return byteaDecoder(form.modes)
    case 'date':
      return dateDecoder()
    case 'time':
      return timeDecoder(type.modifier, form.unit)
    case 'timetz':
      return timetzDecoder()
    case 'timestamp':
      return timestampDecoder(type.modifier, form.unit)
    case 'timestamptz':
      return timestamptzDecoder()
    case 'interval':
      return intervalDecoder(form.modes)
    case 'tstzrange':
      return tstzrangeDecoder()
    default:
      if (TEXTS.has(type.name)) return textDecoder()
      return compileExtension(type.name) ?? unknownTypeDecoder(type.name, form.modes)
  }
}

const TEXTS = new Set(
  (
    'varchar text bpchar char name citext xml json jsonb uuid tsvector inet cidr macaddr macaddr8 ltree isbn ' +
    'int4range int8range numrange tsrange daterange'
  ).split(' '),
)

function compileExtension(name: string): TypeDecoder | null {
  switch (name) {
    case 'point':
      return pointDecoder()
    case 'hstore':
      return hstoreDecoder()
    case 'geometry':
    case 'geography':
      return postgisDecoder()
    case 'vector':
    case 'halfvec':
      return vectorDecoder()
    case 'sparsevec':
      return sparseVectorDecoder()
    default:
      return null
  }
}
