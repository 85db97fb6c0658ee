/** PostgreSQL's text forms of dates and times under DateStyle ISO, TimeZone UTC; years before Christ end in ` BC`. */

export interface TimestampParts {
  /** Astronomical: 1 BC is 0. */
  readonly year: number
  readonly month: number
  readonly day: number
  readonly secondOfDay: number
  /** 0 to 999999. */
  readonly micros: number
}

const TIMESTAMP = /^(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:\+00(?::00)?)?( BC)?$/

/** A date, timestamp or timestamptz. @throws SyntaxError for another form, infinities included */
export function parseTimestamp(text: string): TimestampParts {
  const match = TIMESTAMP.exec(text)
  if (!match) throw new SyntaxError('not the text form of a date or timestamp under DateStyle ISO and TimeZone UTC')
  const year = Number(match[1])
  return {
    year: match[8] === undefined ? year : 1 - year,
    month: Number(match[2]),
    day: Number(match[3]),
    secondOfDay: Number(match[4] ?? 0) * 3600 + Number(match[5] ?? 0) * 60 + Number(match[6] ?? 0),
    micros: microsOf(match[7]),
  }
}

export interface TimeParts {
  /** Up to 86400: PostgreSQL knows 24:00:00. */
  readonly secondOfDay: number
  readonly micros: number
  /** Of a timetz; 0 without. East is positive. */
  readonly offsetSeconds: number
}

const TIME = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?$/

/** A time or timetz. @throws SyntaxError for another form */
export function parseTime(text: string): TimeParts {
  const match = TIME.exec(text)
  if (!match) throw new SyntaxError('not the text form of a time')
  const offset = Number(match[6] ?? 0) * 3600 + Number(match[7] ?? 0) * 60 + Number(match[8] ?? 0)
  return {
    secondOfDay: Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]),
    micros: microsOf(match[4]),
    offsetSeconds: match[5] === '-' ? -offset : offset,
  }
}

function microsOf(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.padEnd(6, '0'))
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar. http://howardhinnant.github.io/date_algorithms.html */
export function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** Java's form: four digits, more with a sign, `-0043` for 44 BC. */
export function isoDate(parts: Pick<TimestampParts, 'year' | 'month' | 'day'>): string {
  const digits = String(Math.abs(parts.year)).padStart(4, '0')
  const sign = parts.year < 0 ? '-' : parts.year > 9999 ? '+' : ''
  return `${sign}${digits}-${twoDigits(parts.month)}-${twoDigits(parts.day)}`
}

export function isoTime(secondOfDay: number): string {
  const minutes = Math.floor(secondOfDay / 60)
  return `${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}:${twoDigits(secondOfDay % 60)}`
}

/** Exactly `digits` fraction digits with their point; none for 0. */
export function fixedFraction(micros: number, digits: number): string {
  return digits <= 0 ? '' : `.${String(micros).padStart(6, '0').slice(0, digits)}`
}

/** As many fraction digits as it takes. */
export function shortFraction(micros: number): string {
  return micros === 0 ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}
