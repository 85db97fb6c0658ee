import type { DebeziumModes } from '../modes.ts'
import { bytesReader, base64Bytes } from './bytes.ts'
import { float8Text } from './float-text.ts'
import { misfit, typeDecoder, type TypeDecoder } from './type-decoder.ts'

/** What Debezium has as PostgreSQL's own text. */
export function textDecoder(): TypeDecoder {
  return typeDecoder((json) => (typeof json === 'string' ? json : misfit('a text')))
}

export function booleanDecoder(): TypeDecoder {
  return typeDecoder((json) => (typeof json === 'boolean' ? (json ? 't' : 'f') : misfit('a boolean')))
}

const ZONES = /:\d\d:\d\d(?:\.\d+)?([+-][\d:]+)/g

/** Debezium leaves it in the time zone of its JVM. Another one than UTC gives another text than ours. */
export function tstzrangeDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    if (typeof json !== 'string') return misfit('a range')
    for (const [, zone] of json.matchAll(ZONES)) if (zone !== '+00') return undefined
    return json
  })
}

/** Text form of bytea_output hex. */
export function byteaDecoder(modes: DebeziumModes): TypeDecoder {
  const read = bytesReader(modes)
  return typeDecoder((json) => `\\x${read(json).toString('hex')}`)
}

const GEOMETRIC = new Set(['box', 'circle', 'line', 'lseg', 'path', 'polygon'])

/**
 * A type that this project's Debezium does not know. With include.unknown.datatypes it is the bytes of its text; else a
 * newer connector has learned it, and a string is its text, and nothing else is anything that we can read.
 */
export function unknownTypeDecoder(name: string, modes: DebeziumModes): TypeDecoder {
  if (!modes.includeUnknownDatatypes) return typeDecoder((json) => (typeof json === 'string' ? json : undefined))
  const read = bytesReader(modes)
  const shape = GEOMETRIC.has(name) ? postgresCoordinates : (text: string): string => text
  return typeDecoder((json) => shape(read(json).toString('utf8')))
}

/** The driver writes geometric types with Java's doubles: `<(10.0,20.0),10.0>`. */
function postgresCoordinates(text: string): string {
  return text.replaceAll(/-?(?:\d[\d.]*(?:E-?\d+)?|Infinity)|NaN/g, (number) => float8Text(Number(number)))
}

/**
 * bit(1) and bit varying(1) are booleans, all others bytes. Debezium drops the zeros in front, so that of a bit
 * varying only those are known that fill it.
 */
export function bitDecoder(modifier: number, isVarying: boolean): TypeDecoder {
  if (modifier === 1) {
    return typeDecoder((json) => {
      if (typeof json !== 'boolean') return misfit('a bit')
      // An empty bit varying(1) is false as well.
      return json ? '1' : isVarying ? undefined : '0'
    })
  }
  return typeDecoder((json) => {
    const bits = bitsOf(base64Bytes(json))
    if (isVarying) return bits.length === modifier ? bits : undefined
    return bits.length <= modifier ? bits.padStart(modifier, '0') : misfit(`bit(${modifier})`)
  })
}

/** Little-endian, cut to the highest bit that is set. */
function bitsOf(bytes: Buffer): string {
  let bits = ''
  for (const byte of bytes) bits = byte.toString(2).padStart(8, '0') + bits
  const first = bits.indexOf('1')
  return first === -1 ? '' : bits.slice(first)
}
