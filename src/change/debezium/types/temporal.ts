import {
  daysSinceEpoch,
  fixedFraction,
  isoDate,
  isoTime,
  parseTime,
  parseTimestamp,
  shortFraction,
} from './calendar.ts'
import { typeEncoder, type TypeEncoder, type TypeOptions } from './type-encoder.ts'

type Unit = 'millis' | 'micros' | 'nanos'

/** What Debezium has for infinity: sentinels of its driver, the dates' other ones while it takes a snapshot. */
const INFINITE_DATES = {
  stream: { infinity: '-2147472692', '-infinity': '-2147472691' },
  snapshot: { infinity: '-622191234', '-infinity': '-625821272' },
  streamIso: { infinity: '"-5877611-06-21Z"', '-infinity': '"-5877611-06-22Z"' },
  snapshotIso: { infinity: '"+292278994-08-16Z"', '-infinity': '"+292269055-12-02Z"' },
} as const

const INFINITE_TIMESTAMPS = {
  millis: { infinity: '9223372036825200', '-infinity': '-9223372036832400' },
  micros: { infinity: '9223372036825200000', '-infinity': '-9223372036832400000' },
  nanos: { infinity: '9223372036854775807', '-infinity': '-9223372036854775808' },
  iso: { infinity: '"+294247-01-10T04:00:25.2Z"', '-infinity': '"-290308-12-21T19:59:27.6Z"' },
} as const

function isInfinite(text: string): text is 'infinity' | '-infinity' {
  return text === 'infinity' || text === '-infinity'
}

const DEFAULTS = { takesDefaults: true } as const

export function dateEncoder(options: TypeOptions): TypeEncoder {
  if (options.timePrecisionMode === 'isostring') {
    return typeEncoder({
      ...DEFAULTS,
      encode: (text, isSnapshot) => {
        if (isInfinite(text)) return INFINITE_DATES[isSnapshot ? 'snapshotIso' : 'streamIso'][text]
        return `"${isoDate(parseTimestamp(text))}Z"`
      },
      fallback: '"1970-01-01Z"',
      functionDefault: '"1970-01-01Z"',
    })
  }
  return typeEncoder({
    ...DEFAULTS,
    encode: (text, isSnapshot) => {
      if (isInfinite(text)) return INFINITE_DATES[isSnapshot ? 'snapshot' : 'stream'][text]
      const { year, month, day } = parseTimestamp(text)
      return String(daysSinceEpoch(year, month, day))
    },
    fallback: '0',
    functionDefault: '0',
  })
}

/** `modifier`: fraction digits, -1 for the default of 6. */
export function timeEncoder(modifier: number, options: TypeOptions): TypeEncoder {
  if (options.timePrecisionMode === 'isostring') {
    return typeEncoder({
      ...DEFAULTS,
      encode: (text) => {
        const { secondOfDay, micros } = parseTime(text)
        // 24:00:00 is no time of Java, nor of those who read it.
        return `"${isoTime(secondOfDay % 86_400)}${shortFraction(micros)}Z"`
      },
      fallback: '"00:00:00Z"',
      functionDefault: '"00:00:00Z"',
    })
  }
  const unit = unitOfTime(modifier, options)
  return typeEncoder({
    ...DEFAULTS,
    encode: (text) => {
      const { secondOfDay, micros } = parseTime(text)
      const total = secondOfDay * 1_000_000 + micros
      if (unit === 'millis') return String(Math.floor(total / 1000))
      return unit === 'micros' || total === 0 ? String(total) : `${total}000`
    },
    fallback: '0',
    functionDefault: '0',
  })
}

function unitOfTime(modifier: number, options: TypeOptions): Unit {
  switch (options.timePrecisionMode) {
    case 'connect':
      return 'millis'
    case 'nanoseconds':
      return 'nanos'
    case 'adaptive':
      return modifier >= 0 && modifier <= 3 ? 'millis' : 'micros'
    default:
      return 'micros'
  }
}

/** Timestamp without time zone, read as UTC. `modifier` as above. */
export function timestampEncoder(modifier: number, options: TypeOptions): TypeEncoder {
  if (options.timePrecisionMode === 'isostring') {
    return typeEncoder({
      ...DEFAULTS,
      encode: (text) => {
        if (isInfinite(text)) return INFINITE_TIMESTAMPS.iso[text]
        const parts = parseTimestamp(text)
        return `"${isoDate(parts)}T${isoTime(parts.secondOfDay)}${shortFraction(parts.micros)}Z"`
      },
      fallback: '"1970-01-01T00:00:00Z"',
      functionDefault: '"1970-01-01T00:00:00Z"',
    })
  }
  const unit = unitOfTimestamp(modifier, options)
  return typeEncoder({
    ...DEFAULTS,
    encode: (text) => (isInfinite(text) ? INFINITE_TIMESTAMPS[unit][text] : sinceEpoch(text, unit)),
    fallback: '0',
    functionDefault: '0',
  })
}

function unitOfTimestamp(modifier: number, options: TypeOptions): Unit {
  switch (options.timePrecisionMode) {
    case 'connect':
      return 'millis'
    case 'microseconds':
      return 'micros'
    case 'nanoseconds':
      return 'nanos'
    default:
      return modifier >= 0 && modifier <= 3 ? 'millis' : 'micros'
  }
}

const SAFE_SECONDS = 9_000_000_000
const INT64_MAX = 9_223_372_036_854_775_807n

function sinceEpoch(text: string, unit: Unit): string {
  const { year, month, day, secondOfDay, micros } = parseTimestamp(text)
  const seconds = daysSinceEpoch(year, month, day) * 86_400 + secondOfDay
  if (unit === 'millis') {
    const millis = Math.floor(micros / 1000)
    const isSafe = Math.abs(seconds) < SAFE_SECONDS
    return isSafe ? String(seconds * 1000 + millis) : String(BigInt(seconds) * 1000n + BigInt(millis))
  }
  if (unit === 'micros' && Math.abs(seconds) < SAFE_SECONDS) return String(seconds * 1_000_000 + micros)
  const total = BigInt(seconds) * 1_000_000n + BigInt(micros)
  if (unit === 'micros') return String(total)
  // Outside 1677..2262 nanoseconds are no int64; Debezium fails the event, we end at the infinities.
  const nanos = total * 1000n
  if (nanos > INT64_MAX) return String(INT64_MAX)
  return String(nanos < -INT64_MAX - 1n ? -INT64_MAX - 1n : nanos)
}

/** UTC in every mode, with exactly as many fraction digits as the column has. */
export function timestamptzEncoder(modifier: number): TypeEncoder {
  const digits = modifier === -1 ? 6 : modifier
  const encode = (text: string): string => {
    if (isInfinite(text)) return `"${text}"`
    const parts = parseTimestamp(text)
    return `"${isoDate(parts)}T${isoTime(parts.secondOfDay)}${fixedFraction(parts.micros, digits)}Z"`
  }
  return typeEncoder({
    ...DEFAULTS,
    encode,
    fallback: '"1970-01-01T00:00:00Z"',
    functionDefault: encode('1970-01-01 00:00:00+00'),
  })
}

/** Shifted to UTC in every mode; 24:00:00+00 becomes 00:00:00. */
export function timetzEncoder(): TypeEncoder {
  return typeEncoder({
    encode: (text) => {
      const { secondOfDay, micros, offsetSeconds } = parseTime(text)
      const utc = (((secondOfDay - offsetSeconds) % 86_400) + 86_400) % 86_400
      return `"${isoTime(utc)}${shortFraction(micros)}Z"`
    },
    fallback: '"00:00:00Z"',
  })
}
