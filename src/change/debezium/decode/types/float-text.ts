/**
 * PostgreSQL's shortest text of a double (extra_float_digits >= 1): `3`, `1e+20`, `-0`. Exponents are written where
 * `double_to_shortest_decimal_buf` writes them.
 */
export function float8Text(value: number): string {
  return Number.isFinite(value) ? shortText(value, String(value), 1e15) : String(value)
}

/** The same of a float32; Java before 19 gives more digits than it takes. */
export function float4Text(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const single = Math.fround(value)
  if (!Number.isFinite(single)) return String(single)
  return shortText(single, shortestFloat32(single, value), 1e6)
}

const SMALLEST_NORMAL = 2 ** -126

/** 9 digits always do, and 6 are never too many but for what is nearly zero. */
function shortestFloat32(single: number, written: number): string {
  const text = String(written)
  const isNormal = Math.abs(single) >= SMALLEST_NORMAL
  if (isNormal && text.length <= 7) return text
  for (let digits = isNormal ? 6 : 1; digits < 9; digits++) {
    const candidate = single.toPrecision(digits)
    if (Math.fround(Number(candidate)) === single) return String(Number(candidate))
  }
  return String(Number(single.toPrecision(9)))
}

/** `digits` is the number as JavaScript writes it. */
function shortText(value: number, digits: string, exponentFrom: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const size = Math.abs(Number(digits))
  if (size >= 1e-4 && size < exponentFrom) return digits
  const exponential = Number(digits).toExponential()
  const at = exponential.indexOf('e') + 2
  return exponential.length - at < 2 ? `${exponential.slice(0, at)}0${exponential.slice(at)}` : exponential
}

/** Without an exponent. */
export function plainDecimal(value: number): string {
  const text = String(value)
  const at = text.indexOf('e')
  if (at === -1) return text
  const exponent = Number(text.slice(at + 1))
  const sign = text.startsWith('-') ? '-' : ''
  const mantissa = text.slice(sign.length, at)
  const digits = mantissa.replace('.', '')
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  return sign + digits.padEnd(exponent + 1, '0')
}
