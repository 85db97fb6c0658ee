import { typeEncoder, type TypeEncoder, type TypeOptions } from './type-encoder.ts'

const MICROS_PER_DAY = 86_400_000_000n
/** 365.25 / 12 days. */
const MICROS_PER_MONTH = 2_629_800_000_000n
const INT64_MAX = 9_223_372_036_854_775_807n

interface Interval {
  readonly years: bigint
  readonly months: bigint
  readonly days: bigint
  readonly isTimeNegative: boolean
  readonly hours: bigint
  readonly minutes: bigint
  /** Whole seconds and microseconds. */
  readonly timeSeconds: bigint
  readonly timeMicros: bigint
}

export function intervalEncoder(options: TypeOptions): TypeEncoder {
  const isText = options.intervalHandlingMode === 'string'
  const encode = isText ? isoDuration : durationMicros
  return typeEncoder({ encode, fallback: encode('00:00:00'), functionDefault: encode('00:00:00'), takesDefaults: true })
}

/** Saturates, as Java's conversion from double does; so do PostgreSQL 17's infinite intervals. */
function durationMicros(text: string): string {
  if (text === 'infinity') return String(INT64_MAX)
  if (text === '-infinity') return String(-INT64_MAX - 1n)
  const interval = parseInterval(text)
  const time =
    (interval.hours * 3600n + interval.minutes * 60n + interval.timeSeconds) * 1_000_000n + interval.timeMicros
  const micros =
    (interval.years * 12n + interval.months) * MICROS_PER_MONTH +
    interval.days * MICROS_PER_DAY +
    (interval.isTimeNegative ? -time : time)
  if (micros > INT64_MAX) return String(INT64_MAX)
  return String(micros < -INT64_MAX - 1n ? -INT64_MAX - 1n : micros)
}

function isoDuration(text: string): string {
  if (text === 'infinity' || text === '-infinity') return `"${text}"`
  const { years, months, days, isTimeNegative, hours, minutes, timeSeconds, timeMicros } = parseInterval(text)
  const signed = (value: bigint): bigint => (isTimeNegative ? -value : value)
  const fraction = timeMicros === 0n ? '' : `.${String(timeMicros).padStart(6, '0').replace(/0+$/, '')}`
  const minus = isTimeNegative && (timeSeconds !== 0n || timeMicros !== 0n) ? '-' : ''
  return `"P${years}Y${months}M${days}DT${signed(hours)}H${signed(minutes)}M${minus}${timeSeconds}${fraction}S"`
}

const INTERVAL =
  /^(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/

/** Text form of IntervalStyle postgres: `1 year 2 mons -3 days +04:05:06.78`. */
function parseInterval(text: string): Interval {
  const match = INTERVAL.exec(text)
  if (!match) throw new SyntaxError('not the text form of an interval under IntervalStyle postgres')
  const [, years = '0', months = '0', days = '0', sign, hours = '0', minutes = '0', seconds = '0', fraction = ''] =
    match
  return {
    years: BigInt(years),
    months: BigInt(months),
    days: BigInt(days),
    isTimeNegative: sign === '-',
    hours: BigInt(hours),
    minutes: BigInt(minutes),
    timeSeconds: BigInt(seconds),
    timeMicros: BigInt(fraction.padEnd(6, '0')),
  }
}
