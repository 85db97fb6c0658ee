/**
 * PostgreSQL's shortest text of a double (extra_float_digits >= 1): `3`, `1e+20`, `-0`. Exponents are written where
 * `double_to_shortest_decimal_buf` writes them.
 */
export function float8Text(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  return shortText(value, size < FIRST_HALFWAY_DOUBLE ? size.toString() : digitsOfLarge(size), 1e15)
}

/** The same of a float32; Java before 19 gives more digits than it takes. */
export function float4Text(value: number): string {
  const single = Math.fround(value)
  if (!Number.isFinite(single)) return String(single)
  return shortText(single, digitsOfSingle(Math.abs(single), Math.abs(value)), 1e6)
}

/**
 * A decimal that is halfway between two floats reads as one of them, and JavaScript and Java are content with it.
 * PostgreSQL is not, and takes a digit more. Below these, what is halfway has too many digits to be a shortest text.
 */
const FIRST_HALFWAY_DOUBLE = 2 ** 53
const FIRST_HALFWAY_SINGLE = 2 ** 24
const SMALLEST_NORMAL_SINGLE = 2 ** -126

function digitsOfLarge(size: number): string {
  const shortest = String(size)
  if (!isHalfway(shortest, size)) return shortest
  const sixteen = size.toPrecision(16)
  return Number(sixteen) === size && !isHalfway(sixteen, size) ? sixteen : size.toPrecision(17)
}

/** Whether the decimal, an integer as all of these are, is as far from `size` as from the next double. */
function isHalfway(decimal: string, size: number): boolean {
  const [mantissa = '', exponent = '0'] = decimal.split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const integer = BigInt((whole + fraction).padEnd(whole.length + Number(exponent), '0'))
  const distance = 2n * (integer > BigInt(size) ? integer - BigInt(size) : BigInt(size) - integer)
  // The next one below may be half as far; that it is halfway then is not looked at.
  return distance === BigInt(2 ** (Math.floor(Math.log2(size)) - 52))
}

/** `written` is the same number, perhaps with fewer digits. 9 of them always do. */
function digitsOfSingle(size: number, written: number): string {
  const isNormal = size >= SMALLEST_NORMAL_SINGLE
  if (isNormal && size < FIRST_HALFWAY_SINGLE) {
    const text = String(written)
    if (text.length <= 7) return text
  }
  const spacing = isNormal ? 2 ** (Math.floor(Math.log2(size)) - 23) : 2 ** -149
  const isRead = (decimal: number): boolean => {
    return Math.fround(decimal) === size && Math.abs(decimal - size) * 2 !== spacing
  }
  for (let digits = isNormal ? 6 : 1; digits < 9; digits++) {
    // Of two decimals as short and as near, what was written is the one: it was made by the same rule.
    if (Number(written.toPrecision(digits)) === written && isRead(written)) return String(written)
    const nearest = Number(size.toPrecision(digits))
    if (isRead(nearest)) return String(nearest)
  }
  return String(Number(size.toPrecision(9)))
}

/** `digits` is the number's size as JavaScript writes it. */
function shortText(value: number, digits: string, exponentFrom: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  if (value === 0) return `${sign}0`
  // Of the decimal: the float32 that is read as 0.0001 is less than that.
  const size = Number(digits)
  if (size >= 1e-4 && size < exponentFrom) return sign + digits
  return sign + exponential(digits)
}

/** `1.5e+20`, `1e-05`: one digit before the point, two at least in the exponent. */
function exponential(decimal: string): string {
  const [mantissa = '', given = '0'] = decimal.split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const all = (whole + fraction).replace(/^0+/, '')
  const exponent = Number(given) + whole.length - 1 - ((whole + fraction).length - all.length)
  const digits = all.replace(/0+$/, '')
  const size = String(Math.abs(exponent)).padStart(2, '0')
  return `${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${exponent < 0 ? '-' : '+'}${size}`
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
