import { javaDouble, jsonString } from '../json-text.ts'
import { placeholderBytes, typeEncoder, type TypeEncoder, type TypeOptions } from './type-encoder.ts'

export function integerEncoder(): TypeEncoder {
  return typeEncoder({ encode: (text) => text, fallback: '0', functionDefault: '0', takesDefaults: true })
}

export function oidEncoder(): TypeEncoder {
  return typeEncoder({ encode: (text) => text, fallback: '0' })
}

export function floatEncoder(isFloat32: boolean): TypeEncoder {
  return typeEncoder({
    encode: (text) => javaDouble(Number(text), isFloat32),
    fallback: '0.0',
    functionDefault: '0.0',
    takesDefaults: true,
  })
}

/** `modifier` as in pg_attribute.atttypmod. -1: no scale is declared, and every value carries its own. */
export function numericEncoder(modifier: number, options: TypeOptions): TypeEncoder {
  const scale = modifier === -1 ? null : numericScale(modifier)
  const encode = finiteNumericEncoder(scale, options)
  return typeEncoder({
    encode: (text) => (SPECIAL_NUMERICS.has(text) ? specialNumeric(text, options) : encode(text)),
    fallback: encode('0'),
    unavailable:
      options.decimalHandlingMode === 'string' ? jsonString(placeholderBytes(options).toString('utf8')) : 'null',
    functionDefault: scale === null ? VARIABLE_FUNCTION_DEFAULTS[options.decimalHandlingMode] : encode('0'),
    takesDefaults: scale !== null || options.decimalHandlingMode !== 'precise',
  })
}

const VARIABLE_FUNCTION_DEFAULTS = { precise: null, string: '"0.0"', double: '0.0' } as const

function finiteNumericEncoder(scale: number | null, options: TypeOptions): (text: string) => string {
  switch (options.decimalHandlingMode) {
    case 'double':
      return (text) => javaDouble(Number(text))
    case 'string':
      return scale === null ? (text) => `"${text}"` : (text) => `"${withScale(text, scale)}"`
    case 'precise':
      return scale === null ? variableScale : (text) => `"${unscaledBase64(unscaled(text, scale))}"`
  }
}

/** The low 11 bits, signed: PostgreSQL 15 and later allow scales from -1000 to 1000. */
export function numericScale(modifier: number): number {
  return (((modifier - 4) & 0x7ff) ^ 1024) - 1024
}

const SPECIAL_NUMERICS = new Set(['NaN', 'Infinity', '-Infinity'])

const SPECIAL_NAMES: Readonly<Record<string, string>> = {
  NaN: '"NAN"',
  Infinity: '"POSITIVE_INFINITY"',
  '-Infinity': '"NEGATIVE_INFINITY"',
}

function specialNumeric(text: string, options: TypeOptions): string {
  if (options.decimalHandlingMode === 'double') return `"${text}"`
  return options.decimalHandlingMode === 'string' ? (SPECIAL_NAMES[text] ?? 'null') : 'null'
}

/** Trailing zeros stripped, a negative scale raised to 0: what BigDecimal does in Debezium's VariableScaleDecimal. */
function variableScale(text: string): string {
  const point = text.indexOf('.')
  const stripped = point === -1 ? text : text.replace(/\.?0+$/, '')
  const scale = stripped.includes('.') ? stripped.length - stripped.indexOf('.') - 1 : 0
  return `{"scale":${scale},"value":"${unscaledBase64(unscaled(stripped, scale))}"}`
}

/**
 * value * 10^scale, rounded half up (away from zero). Column values come with their column's scale and are never
 * rounded; defaults and money may be.
 */
export function unscaled(text: string, scale: number): bigint {
  const isNegative = text.startsWith('-')
  const digits = isNegative ? text.slice(1) : text
  const point = digits.indexOf('.')
  const whole = point === -1 ? digits : digits.slice(0, point)
  const fraction = point === -1 ? '' : digits.slice(point + 1)
  const all = whole + fraction
  const drop = fraction.length - scale
  let value: bigint
  if (drop <= 0) value = BigInt(all + '0'.repeat(-drop))
  else value = BigInt(all.slice(0, -drop) || '0') + ((all.at(-drop) ?? '0') >= '5' && drop <= all.length ? 1n : 0n)
  return isNegative ? -value : value
}

/** Base64 of BigInteger.toByteArray: two's complement, big-endian, as few bytes as hold the sign. */
export function unscaledBase64(value: bigint): string {
  const magnitude = value < 0n ? -value - 1n : value
  const hex = magnitude.toString(16)
  const bitLength = 4 * (hex.length - 1) + (32 - Math.clz32(Number.parseInt(hex.charAt(0), 16)))
  const bytes = (bitLength >> 3) + 1
  const unsigned = BigInt.asUintN(bytes * 8, value).toString(16)
  return Buffer.from(unsigned.padStart(bytes * 2, '0'), 'hex').toString('base64')
}

/** A plain decimal with exactly `scale` fraction digits. */
function withScale(text: string, scale: number): string {
  if (scale <= 0) return text
  const point = text.indexOf('.')
  const fraction = point === -1 ? 0 : text.length - point - 1
  if (fraction === scale) return text
  return fraction < scale ? `${point === -1 ? `${text}.` : text}${'0'.repeat(scale - fraction)}` : text
}

/** Text form of lc_monetary C: `$1,234.11`, `-$1,234.11`. */
export function moneyEncoder(options: TypeOptions): TypeEncoder {
  const digits = options.moneyFractionDigits
  const zero = digits === 0 ? '0' : `0.${'0'.repeat(digits)}`
  switch (options.decimalHandlingMode) {
    case 'double':
      return typeEncoder({ encode: (text) => javaDouble(Number(plainMoney(text))), fallback: '0.0' })
    case 'string':
      return typeEncoder({ encode: (text) => `"${plainMoney(text)}"`, fallback: `"${zero}"` })
    case 'precise':
      return typeEncoder({
        encode: (text) => `"${unscaledBase64(unscaled(plainMoney(text), digits))}"`,
        fallback: '"AA=="',
      })
  }
}

function plainMoney(text: string): string {
  const digits = text.replaceAll(/[^\d.]/g, '')
  return text.startsWith('-') || text.startsWith('(') ? `-${digits}` : digits
}
