import type { ColumnType } from '../../relation.ts'
import { isObject, type Json, type JsonObject } from './json-value.ts'
import type { DebeziumModes } from './modes.ts'
import type { TemporalUnit } from './types/type-decoder.ts'

/** What a record's own schema (`schemas.enable=true`) says of one column. */
export interface FieldSchema {
  /** Connect's: bytes, string, int64, double, struct, array. */
  readonly type: string
  /** `io.debezium.time.MicroTimestamp`; null for a plain type. */
  readonly name: string | null
  /** Of a Connect Decimal. */
  readonly scale: number | null
  /** Of an array's elements; Debezium has one dimension. */
  readonly items: FieldSchema | null
}

export interface RowSchema {
  /** Equal for equal schemas: every record brings its own. */
  readonly signature: string
  readonly fields: ReadonlyMap<string, FieldSchema>
}

/** Of `before` and `after`, which are the same; null if the envelope's schema has neither. */
export function rowSchemaOf(envelope: Json | undefined): RowSchema | null {
  const row = isObject(envelope)
    ? fieldsOf(envelope).find(({ field }) => field === 'after' || field === 'before')
    : null
  if (!row) return null
  const fields = new Map<string, FieldSchema>()
  let signature = ''
  for (const field of fieldsOf(row)) {
    const schema = fieldSchema(field)
    const name = field['field']
    if (typeof name !== 'string') continue
    fields.set(name, schema)
    signature += `${JSON.stringify(name)}${signatureOf(schema)}`
  }
  return { signature, fields }
}

function fieldsOf(schema: JsonObject): readonly JsonObject[] {
  const { fields } = schema
  return Array.isArray(fields) ? (fields as readonly Json[]).filter(isObject) : []
}

function fieldSchema(schema: JsonObject, isElement = false): FieldSchema {
  const { type, name, parameters, items } = schema
  const scale = isObject(parameters) ? Number(parameters['scale'] ?? Number.NaN) : Number.NaN
  return {
    type: typeof type === 'string' ? type : '',
    name: typeof name === 'string' ? name : null,
    scale: Number.isInteger(scale) ? scale : null,
    items: isObject(items) && !isElement ? fieldSchema(items, true) : null,
  }
}

function signatureOf({ type, name, scale, items }: FieldSchema): string {
  return `:${type}:${name}:${scale}${items ? `[${signatureOf(items)}]` : ''};`
}

/** How a column is written: by the record's schema where there is one, else by the connector's settings. */
export interface ColumnForm {
  readonly modes: DebeziumModes
  readonly scale: number | null
  readonly unit: TemporalUnit
}

const DECIMAL = 'org.apache.kafka.connect.data.Decimal'
const VARIABLE_DECIMAL = 'io.debezium.data.VariableScaleDecimal'

/** Keyed by the column's type, then by the schema's name. */
const UNITS: Readonly<Record<string, Readonly<Record<string, TemporalUnit>>>> = {
  date: {
    'io.debezium.time.Date': 'millis',
    'org.apache.kafka.connect.data.Date': 'millis',
    'io.debezium.time.IsoDate': 'iso',
  },
  time: {
    'io.debezium.time.Time': 'millis',
    'org.apache.kafka.connect.data.Time': 'millis',
    'io.debezium.time.MicroTime': 'micros',
    'io.debezium.time.NanoTime': 'nanos',
    'io.debezium.time.IsoTime': 'iso',
  },
  timestamp: {
    'io.debezium.time.Timestamp': 'millis',
    'org.apache.kafka.connect.data.Timestamp': 'millis',
    'io.debezium.time.MicroTimestamp': 'micros',
    'io.debezium.time.NanoTimestamp': 'nanos',
    'io.debezium.time.IsoTimestamp': 'iso',
  },
  timestamptz: { 'io.debezium.time.ZonedTimestamp': 'iso' },
  timetz: { 'io.debezium.time.ZonedTime': 'iso' },
  interval: { 'io.debezium.time.MicroDuration': 'micros', 'io.debezium.time.Interval': 'iso' },
}

const FOREIGN =
  /^(?:io\.debezium\.time\.|org\.apache\.kafka\.connect\.data\.|io\.debezium\.data\.VariableScaleDecimal$)/

/** null: the record's schema is of another type than the column has now. */
export function formOf(type: ColumnType, modes: DebeziumModes, schema: FieldSchema | null): ColumnForm | null {
  if (!schema) return { modes, scale: null, unit: unitOf(type, modes) }
  const units = UNITS[type.name]
  if (units) {
    const unit = schema.name === null ? undefined : units[schema.name]
    if (!unit) return null
    const intervalHandlingMode = unit === 'iso' ? 'string' : 'numeric'
    return { modes: { ...modes, intervalHandlingMode }, scale: null, unit }
  }
  if (type.name === 'numeric' || type.name === 'money') return decimalForm(modes, schema)
  if (schema.name !== null && FOREIGN.test(schema.name)) return null
  const bytes =
    schema.type === 'bytes' ? ({ binaryHandlingMode: 'bytes', includeUnknownDatatypes: true } as const) : null
  return { modes: { ...modes, ...bytes }, scale: null, unit: 'micros' }
}

function decimalForm(modes: DebeziumModes, schema: FieldSchema): ColumnForm | null {
  const form = (decimalHandlingMode: DebeziumModes['decimalHandlingMode']): ColumnForm => {
    return { modes: { ...modes, decimalHandlingMode }, scale: schema.scale, unit: 'micros' }
  }
  if (schema.name === DECIMAL || schema.name === VARIABLE_DECIMAL) return form('precise')
  if (schema.name !== null) return null
  return schema.type === 'string' ? form('string') : schema.type === 'double' ? form('double') : null
}

function unitOf(type: ColumnType, modes: DebeziumModes): TemporalUnit {
  const isShort = type.modifier >= 0 && type.modifier <= 3
  switch (modes.timePrecisionMode) {
    case 'isostring':
      return 'iso'
    case 'connect':
      return 'millis'
    case 'nanoseconds':
      return 'nanos'
    case 'microseconds':
      return 'micros'
    case 'adaptive_time_microseconds':
      return isShort && type.name === 'timestamp' ? 'millis' : 'micros'
    case 'adaptive':
      return isShort ? 'millis' : 'micros'
  }
}
