import { javaDouble, jsonString } from '../json-text.ts'
import { placeholderBytes, typeEncoder, type TypeEncoder, type TypeOptions } from './type-encoder.ts'

/** PostgreSQL's text as it is: character types, json, xml, uuid, network addresses, ranges, enums. */
export function textEncoder(options: TypeOptions, part: Partial<TypeEncoder> = {}): TypeEncoder {
  return typeEncoder({
    encode: jsonString,
    fallback: '""',
    unavailable: jsonString(placeholderBytes(options).toString('utf8')),
    ...part,
  })
}

export function booleanEncoder(): TypeEncoder {
  return typeEncoder({
    encode: (text) => (text === 't' || text === 'true' ? 'true' : 'false'),
    fallback: 'false',
    functionDefault: 'false',
    takesDefaults: true,
  })
}

/** A type that Debezium doesn't know, with include.unknown.datatypes: its text as bytes. */
export function unknownTypeEncoder(name: string, options: TypeOptions): TypeEncoder {
  const bytes = bytesWriter(options)
  const shape = GEOMETRIC.has(name) ? javaCoordinates : (text: string): string => text
  return typeEncoder({
    encode: (text) => bytes(Buffer.from(shape(text))),
    fallback: '""',
    unavailable: unavailableBytes(options),
  })
}

const GEOMETRIC = new Set(['box', 'circle', 'line', 'lseg', 'path', 'polygon'])

/** The driver writes geometric types itself, and so with Java's doubles: `<(10.0,20.0),10.0>`. */
function javaCoordinates(text: string): string {
  return text.replaceAll(/-?(?:\d[\d.]*(?:e[+-]?\d+)?|Infinity)|NaN/gi, (number) => {
    return javaDoubleText(Number(number))
  })
}

function javaDoubleText(value: number): string {
  const text = javaDouble(value)
  return text.startsWith('"') ? text.slice(1, -1) : text
}

/** A Connect bytes value, or the text that binary.handling.mode makes of it. */
export function bytesWriter(options: TypeOptions): (bytes: Buffer) => string {
  switch (options.binaryHandlingMode) {
    case 'bytes':
    case 'base64':
      return (bytes) => `"${bytes.toString('base64')}"`
    case 'base64-url-safe':
      // Node's own base64url drops the padding, Java's keeps it.
      return (bytes) => `"${bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')}"`
    case 'hex':
      return (bytes) => `"${bytes.toString('hex')}"`
  }
}

/** Text form of bytea_output hex: `\x3af0`. */
export function byteaEncoder(options: TypeOptions): TypeEncoder {
  const write = bytesWriter(options)
  const encode = (text: string): string => write(Buffer.from(text.slice(2), 'hex'))
  return typeEncoder({ encode, fallback: '""', unavailable: unavailableBytes(options) })
}

/** Both base64 modes have none. */
function unavailableBytes(options: TypeOptions): string {
  const placeholder = placeholderBytes(options)
  if (options.binaryHandlingMode === 'bytes') return `"${placeholder.toString('base64')}"`
  return options.binaryHandlingMode === 'hex' ? jsonString(placeholder.toString('utf8')) : 'null'
}

/** bit(1) and bit varying(1) are booleans, all others bytes. `modifier` is the length in bits; -1 for no limit. */
export function bitEncoder(modifier: number): TypeEncoder {
  if (modifier === 1) {
    return typeEncoder({ encode: (text) => (text === '1' ? 'true' : 'false'), fallback: 'false', takesDefaults: true })
  }
  return typeEncoder({ encode: (text) => `"${bitsBase64(text)}"`, fallback: '""', takesDefaults: true })
}

/** Little-endian, cut to the highest bit that is set, as java.util.BitSet has it. */
function bitsBase64(text: string): string {
  const first = text.indexOf('1')
  if (first === -1) return ''
  const bytes = Buffer.alloc((text.length - first + 7) >> 3)
  for (let at = text.length - 1, bit = 0; at >= first; at--, bit++) {
    if (text.charCodeAt(at) === 0x31) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7))
  }
  return bytes.toString('base64')
}
