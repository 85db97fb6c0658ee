import { isObject, type Json } from '../json-value.ts'
import type { DebeziumModes } from '../modes.ts'
import { numericScale } from '../../types/numeric.ts'
import { base64Bytes } from './bytes.ts'
import { float4Text, float8Text, plainDecimal } from './float-text.ts'
import { misfit, typeDecoder, type TypeDecoder } from './type-decoder.ts'

export function integerDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    if (typeof json === 'bigint' || (typeof json === 'number' && Number.isSafeInteger(json))) return String(json)
    return misfit('an integer')
  }, true)
}

export function floatDecoder(isFloat32: boolean): TypeDecoder {
  const textOf = isFloat32 ? float4Text : float8Text
  return typeDecoder((json) => textOf(floatOf(json)))
}

const SPECIAL = new Set<Json>(['NaN', 'Infinity', '-Infinity'])

export function floatOf(json: Json | undefined): number {
  if (typeof json === 'number') return json
  if (typeof json === 'bigint' || (json !== undefined && SPECIAL.has(json))) return Number(json)
  return misfit('a floating-point number')
}

/** What string mode has where a number has no digits. */
const SPECIAL_NAMES: ReadonlyMap<string, string> = new Map([
  ['NAN', 'NaN'],
  ['POSITIVE_INFINITY', 'Infinity'],
  ['NEGATIVE_INFINITY', '-Infinity'],
  ['NaN', 'NaN'],
  ['Infinity', 'Infinity'],
  ['-Infinity', '-Infinity'],
])

const PLAIN = /^-?\d+(?:\.\d+)?$/

/**
 * A string's meaning depends on the mode; an object with a scale of its own, and a number, are what they are.
 *
 * @param scale of the record's schema; null: the column's own
 */
export function numericDecoder(modifier: number, modes: DebeziumModes, scale: number | null): TypeDecoder {
  const declared = modifier === -1 ? null : numericScale(modifier)
  // Debezium takes a negative scale for a large one, and what it writes then is nonsense.
  const isUnreadable = declared !== null && declared < 0 && modes.decimalHandlingMode !== 'double'
  const columnScale = scale ?? declared
  const ofString = modes.decimalHandlingMode === 'precise' && columnScale !== null ? preciseText : plainText
  return typeDecoder((json) => {
    if (isUnreadable) return undefined
    if (typeof json === 'string') return ofString(json, columnScale)
    if (typeof json === 'number') return withScale(plainDecimal(json), columnScale)
    if (typeof json === 'bigint') return withScale(String(json), columnScale)
    return isObject(json) ? variableScale(json['scale'], json['value']) : misfit('a numeric')
  })
}

function plainText(json: string, scale: number | null): string {
  if (PLAIN.test(json)) return withScale(json, scale)
  return SPECIAL_NAMES.get(json) ?? misfit('a numeric as a string')
}

function preciseText(json: string, scale: number | null): string {
  return SPECIAL.has(json) ? json : unscaledText(base64Bytes(json), scale ?? 0)
}

/** PostgreSQL has 16383 digits after the point at most. */
const GREATEST_SCALE = 16_383

function variableScale(scale: Json | undefined, value: Json | undefined): string {
  if (typeof scale !== 'number' || !Number.isInteger(scale) || Math.abs(scale) > GREATEST_SCALE) {
    return misfit('a numeric with its scale')
  }
  return unscaledText(base64Bytes(value), scale)
}

/** The reverse of `unscaledBase64`: value / 10^scale, with exactly `scale` digits after the point. */
export function unscaledText(bytes: Buffer, scale: number): string {
  if (bytes.length === 0) return misfit('a numeric')
  const value = bytes.length <= 6 ? bytes.readIntBE(0, bytes.length) : BigInt.asIntN(bytes.length * 8, unsigned(bytes))
  const text = String(value)
  if (scale <= 0) return value == 0 ? '0' : text + '0'.repeat(-scale)
  const isNegative = text.startsWith('-')
  const digits = (isNegative ? text.slice(1) : text).padStart(scale + 1, '0')
  const point = digits.length - scale
  return `${isNegative ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`
}

function unsigned(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}

/** PostgreSQL pads to the column's scale; a number of JSON has lost the zeros. */
function withScale(text: string, scale: number | null): string {
  if (scale === null || scale <= 0) return text
  const point = text.indexOf('.')
  const missing = scale - (point === -1 ? 0 : text.length - point - 1)
  if (missing <= 0) return text
  return `${point === -1 ? `${text}.` : text}${'0'.repeat(missing)}`
}

/**
 * Text form of lc_monetary C and en_US: `-$1,234.11`.
 *
 * @param scale of the record's schema; null: `money.fraction.digits`
 */
export function moneyDecoder(modes: DebeziumModes, scale: number | null): TypeDecoder {
  const digits = scale ?? modes.moneyFractionDigits
  const isPrecise = modes.decimalHandlingMode === 'precise'
  const plainOf = (json: Json): string => {
    if (typeof json === 'number') return plainDecimal(json)
    if (typeof json !== 'string') return misfit('money')
    return isPrecise ? unscaledText(base64Bytes(json), digits) : json
  }
  return typeDecoder((json) => {
    const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(plainOf(json)) ?? misfit('money')
    // Rounded to less than cents.
    if (isPrecise && digits < 2) return undefined
    const [, sign, whole = '', fraction = ''] = match
    return `${sign}$${whole.replaceAll(/\B(?=(?:\d{3})+$)/g, ',')}.${fraction.padEnd(2, '0').slice(0, 2)}`
  })
}
