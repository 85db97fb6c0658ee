import { createHash } from 'node:crypto'

import { parseArrayText } from '../../array-text.ts'
import { jsonString } from '../json-text.ts'
import { placeholderBytes, typeEncoder, type TypeEncoder, type TypeOptions } from './type-encoder.ts'

/** One dimension as Debezium has it. For more dimensions Debezium has no usable form: we nest. */
export function arrayEncoder(elementName: string, element: TypeEncoder, options: TypeOptions): TypeEncoder {
  const delimiter = elementName === 'box' ? ';' : ','
  type Parts = ReturnType<typeof parseArrayText>
  const write = (parts: Parts, isSnapshot: boolean): string => {
    const written = parts.map((part) => {
      if (part === null) return 'null'
      return typeof part === 'string' ? element.encode(part, isSnapshot) : write(part, isSnapshot)
    })
    return `[${written.join(',')}]`
  }
  return typeEncoder({
    encode: (text, isSnapshot) => (text === '{}' ? '[]' : write(parseArrayText(text, delimiter), isSnapshot)),
    fallback: '[]',
    unavailable: unavailableArray(elementName, element, options),
  })
}

function unavailableArray(elementName: string, element: TypeEncoder, options: TypeOptions): string {
  const bytes = placeholderBytes(options)
  switch (elementName) {
    case 'text':
    case 'varchar':
    case 'bpchar':
    case 'json':
    case 'jsonb':
      return `[${jsonString(bytes.toString('utf8'))}]`
    case 'bytea':
      return options.binaryHandlingMode === 'bytes' ? `[${element.unavailable}]` : 'null'
    case 'int4':
    case 'int8':
      return codes(bytes)
    case 'date':
      return element.fallback === '0' && options.timePrecisionMode !== 'connect' ? codes(bytes) : 'null'
    case 'uuid':
      return `["${nameUuid(bytes)}"]`
    default:
      return 'null'
  }
}

function codes(bytes: Buffer): string {
  return `[${[...new Int8Array(bytes)].join(',')}]`
}

/** java.util.UUID.nameUUIDFromBytes: version 3 without a namespace. */
function nameUuid(bytes: Buffer): string {
  const hash = createHash('md5').update(bytes).digest()
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x30, 6)
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = hash.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
