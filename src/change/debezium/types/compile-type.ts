import type { ColumnType } from '../../relation.ts'
import { arrayEncoder } from './array.ts'
import { pointEncoder, postgisEncoder, sparseVectorEncoder, vectorEncoder } from './geometry.ts'
import { hstoreEncoder } from './hstore.ts'
import { intervalEncoder } from './interval.ts'
import { floatEncoder, integerEncoder, moneyEncoder, numericEncoder, oidEncoder } from './numeric.ts'
import { dateEncoder, timeEncoder, timestampEncoder, timestamptzEncoder, timetzEncoder } from './temporal.ts'
import { bitEncoder, booleanEncoder, byteaEncoder, textEncoder, unknownTypeEncoder } from './text.ts'
import type { TypeEncoder, TypeOptions } from './type-encoder.ts'

/** null: Debezium has no mapping, and the column is left out of the event (debezium-events.md, section 3). */
export function compileType(type: ColumnType, options: TypeOptions): TypeEncoder | null {
  if (type.kind === 'array') return compileArray(type, options)
  if (type.kind === 'enum') return textEncoder(options, { takesDefaults: true, isCharacters: true })
  const known = type.kind === 'base' || type.kind === 'range' ? compileNamed(type, options) : null
  if (known) return known
  return options.includeUnknownDatatypes ? unknownTypeEncoder(type.name, options) : null
}

/** Left out whatever include.unknown.datatypes says. */
const UNMAPPED_ELEMENTS = new Set(['money', 'name', 'interval', 'varbit', 'xml', 'point', 'refcursor'])

function compileArray(type: ColumnType, options: TypeOptions): TypeEncoder | null {
  const element = type.element
  if (!element || UNMAPPED_ELEMENTS.has(element.name)) return null
  const isDomain = element.oid !== element.rootOid
  if (isDomain && !options.includeUnknownDatatypes) return null
  const modifier = element.modifier === -1 ? type.modifier : element.modifier
  const encoder = isDomain ? unknownTypeEncoder(element.name, options) : compileType({ ...element, modifier }, options)
  return encoder && arrayEncoder(element.name, encoder, options)
}

function compileNamed(type: ColumnType, options: TypeOptions): TypeEncoder | null {
  switch (type.name) {
    case 'int2':
    case 'int4':
    case 'int8':
      return integerEncoder()
    case 'oid':
      return oidEncoder()
    case 'float4':
      return floatEncoder(true)
    case 'float8':
      return floatEncoder(false)
    case 'numeric':
      return numericEncoder(type.modifier, options)
    case 'money':
      return moneyEncoder(options)
    case 'bool':
      return booleanEncoder()
    case 'bit':
    case 'varbit':
      return bitEncoder(type.modifier)
    case 'bytea':
      return byteaEncoder(options)
    case 'date':
      return dateEncoder(options)
    case 'time':
      return timeEncoder(type.modifier, options)
    case 'timetz':
      return timetzEncoder()
    case 'timestamp':
      return timestampEncoder(type.modifier, options)
    case 'timestamptz':
      return timestamptzEncoder(type.modifier)
    case 'interval':
      return intervalEncoder(options)
    default:
      return compileText(type.name, options) ?? compileExtension(type.name, options)
  }
}

function compileText(name: string, options: TypeOptions): TypeEncoder | null {
  switch (name) {
    case 'varchar':
    case 'text':
    case 'bpchar':
      return textEncoder(options, { functionDefault: '""', takesDefaults: true, isCharacters: true })
    case 'xml':
      return textEncoder(options, { functionDefault: '""', takesDefaults: true })
    case 'json':
    case 'jsonb':
      return textEncoder(options, { functionDefault: '"{}"', takesDefaults: true })
    case 'uuid':
      return textEncoder(options, { functionDefault: '"00000000-0000-0000-0000-000000000000"', takesDefaults: true })
    case 'char':
    case 'name':
    case 'citext':
      return textEncoder(options, { isCharacters: true })
    case 'inet':
    case 'cidr':
    case 'macaddr':
    case 'macaddr8':
    case 'int4range':
    case 'int8range':
    case 'numrange':
    case 'tsrange':
    case 'tstzrange':
    case 'daterange':
    case 'tsvector':
      return textEncoder(options)
    default:
      return null
  }
}

function compileExtension(name: string, options: TypeOptions): TypeEncoder | null {
  switch (name) {
    case 'point':
      return pointEncoder()
    case 'hstore':
      return hstoreEncoder(options)
    case 'ltree':
    case 'isbn':
      return textEncoder(options)
    case 'geometry':
    case 'geography':
      return postgisEncoder()
    case 'vector':
    case 'halfvec':
      return vectorEncoder(name === 'halfvec')
    case 'sparsevec':
      return sparseVectorEncoder()
    default:
      return null
  }
}
