/**
 * JSON text as Kafka Connect's JsonConverter writes it (Jackson, UTF-8 output): the texts are made here directly, since
 * `JSON.stringify` would lose int64 digits and write 3 where Java writes 3.0 (debezium-events.md, section 2).
 */

/* oxlint-disable-next-line no-control-regex */
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/
/* oxlint-disable-next-line no-control-regex */
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/g
/* oxlint-disable-next-line no-control-regex */
const ESCAPED_IN_TEXT = /["\\\u0000-\u001f]/g

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
}

function escape(unit: string): string {
  return SHORT_ESCAPES[unit] ?? `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** A JSON string. What lies beyond the BMP becomes two upper-case escapes, as Jackson writes it to bytes. */
export function jsonString(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${text.replaceAll(ESCAPED, escape)}"` : `"${text}"`
}

/** The same for a JSON document that is itself a string's content: Jackson writes it to characters, and these stay raw. */
export function jsonStringInText(text: string): string {
  return `"${text.replaceAll(ESCAPED_IN_TEXT, escape)}"`
}

/**
 * `Double.toString` (JDK 19 and later: the shortest digits, but two at least), NaN and infinities as JSON strings. For
 * a float32, give the value of PostgreSQL's shortest text and `isFloat32`.
 */
export function javaDouble(value: number, isFloat32 = false): string {
  if (!Number.isFinite(value)) return jsonString(String(value))
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  let exponential = Math.abs(value).toExponential()
  if (exponential[1] !== '.') exponential = Math.abs(isFloat32 ? Math.fround(value) : value).toExponential(1)
  const at = exponential.indexOf('e')
  const digits = exponential[0] + exponential.slice(2, at)
  const exponent = Number(exponential.slice(at + 1))
  return (value < 0 ? '-' : '') + place(digits, exponent)
}

/** `digits` with the point after the first one, times 10^exponent. */
function place(digits: string, exponent: number): string {
  if (exponent < -3 || exponent >= 7) return `${digits[0]}.${digits.slice(1)}E${exponent}`
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits.replace(/(?<=.)0+$/, '')}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  return `${whole}.${digits.slice(exponent + 1) || '0'}`
}
