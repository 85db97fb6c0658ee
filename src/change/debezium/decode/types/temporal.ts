import type { Json } from '../json-value.ts'
import { dateText, eraText, timeText } from './calendar-text.ts'
import { misfit, typeDecoder, type TemporalUnit, type TypeDecoder } from './type-decoder.ts'

const DAY = { millis: 86_400_000, micros: 86_400_000_000, nanos: 86_400_000_000_000 } as const

/** Debezium's several sentinels (debezium-events.md 3.5). None of them is a date or time that PostgreSQL can hold otherwise. */
const INFINITE_DATES: ReadonlyMap<Json, string> = new Map<Json, string>([
  [-2_147_472_692, 'infinity'],
  [-622_191_234, 'infinity'],
  [-2_147_472_691, '-infinity'],
  [-625_821_272, '-infinity'],
  ['-5877611-06-21Z', 'infinity'],
  ['+292278994-08-16Z', 'infinity'],
  ['-5877611-06-22Z', '-infinity'],
  ['+292269055-12-02Z', '-infinity'],
])
const INFINITE_TIMESTAMPS: ReadonlyMap<string, string> = new Map([
  ['millis9223372036825200', 'infinity'],
  ['millis-9223372036832400', '-infinity'],
  ['micros9223372036825200000', 'infinity'],
  ['micros-9223372036832400000', '-infinity'],
  ['nanos9223372036854775807', 'infinity'],
  ['nanos-9223372036854775808', '-infinity'],
  ['iso+294247-01-10T04:00:25.2Z', 'infinity'],
  ['iso-290308-12-21T19:59:27.6Z', '-infinity'],
])

/** 4714-11-24 BC and 5874897-12-31: PostgreSQL's first and last. */
const FIRST_DAY = -2_440_588
const LAST_DAY = 2_145_042_905

const ISO_DATE = /^([+-]?)(\d{4,7})(-\d\d-\d\d)Z$/

export function dateDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    const infinite = INFINITE_DATES.get(json)
    if (infinite !== undefined) return infinite
    if (typeof json === 'number') return dateText(dayWithin(json))
    const match = typeof json === 'string' && ISO_DATE.exec(json)
    if (!match) return misfit('a date')
    return eraText(Number(`${match[1]}${match[2]}`), match[3] ?? '')
  })
}

function dayWithin(day: number): number {
  return Number.isInteger(day) && day >= FIRST_DAY && day <= LAST_DAY ? day : misfit('a date')
}

/** Whether milliseconds are all that a column has. `modifier`: fraction digits, -1 for the default of 6. */
function hasMillis(modifier: number): boolean {
  return modifier >= 0 && modifier <= 3
}

const ISO_TIME = /^(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/

export function timeDecoder(modifier: number, unit: TemporalUnit): TypeDecoder {
  if (unit === 'iso') {
    // 24:00:00 is written as this, too.
    return typeDecoder((json) => (json === '00:00:00Z' ? undefined : isoTimeText(json)))
  }
  const day = DAY[unit]
  const perMicro = day / DAY.micros
  const isRounded = unit === 'millis' && !hasMillis(modifier)
  return typeDecoder((json) => {
    if (typeof json !== 'number' || !Number.isInteger(json) || json < 0 || json > day) return misfit('a time')
    return isRounded ? undefined : timeText(Math.floor(json / perMicro))
  })
}

function isoTimeText(json: Json): string {
  const match = typeof json === 'string' && ISO_TIME.exec(json)
  if (!match) return misfit('a time')
  return (match[1] ?? '') + fractionText(match[2])
}

/** Debezium shifts it to UTC: which hour and offset it was is lost, and both are the value. */
export function timetzDecoder(): TypeDecoder {
  return typeDecoder((json) => {
    isoTimeText(json)
    return undefined
  })
}

const ISO_TIMESTAMP = /^([+-]?)(\d{4,6})(-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/

/** Timestamp without time zone. `modifier` as above. */
export function timestampDecoder(modifier: number, unit: TemporalUnit): TypeDecoder {
  if (unit === 'iso') {
    return typeDecoder((json) => {
      const infinite = typeof json === 'string' ? INFINITE_TIMESTAMPS.get(`iso${json}`) : undefined
      return infinite ?? isoTimestampText(json, '')
    })
  }
  const isRounded = unit === 'millis' && !hasMillis(modifier)
  const decode = (json: Json): string | undefined => {
    if (typeof json !== 'number' && typeof json !== 'bigint') return misfit('a timestamp')
    const isLarge = !Number.isSafeInteger(json)
    if (isLarge) {
      const infinite = INFINITE_TIMESTAMPS.get(`${unit}${json}`)
      if (infinite !== undefined) return infinite
      if (typeof json === 'number') return misfit('a timestamp')
    }
    const text = isLarge ? largeEpochText(BigInt(json), unit) : epochText(Number(json), unit)
    return isRounded ? undefined : text
  }
  return typeDecoder(decode, true)
}

type EpochUnit = Exclude<TemporalUnit, 'iso'>

function epochText(value: number, unit: EpochUnit): string {
  const day = Math.floor(value / DAY[unit])
  const ofDay = value - day * DAY[unit]
  return dateText(dayWithin(day), ` ${timeText(Math.floor(ofDay / (DAY[unit] / DAY.micros)))}`)
}

function largeEpochText(value: bigint, unit: EpochUnit): string {
  const perDay = BigInt(DAY[unit])
  const remainder = value % perDay
  const ofDay = remainder < 0n ? remainder + perDay : remainder
  const day = Number((value - ofDay) / perDay)
  return dateText(dayWithin(day), ` ${timeText(Math.floor(Number(ofDay) / (DAY[unit] / DAY.micros)))}`)
}

export function timestamptzDecoder(): TypeDecoder {
  return typeDecoder((json) => (json === 'infinity' || json === '-infinity' ? json : isoTimestampText(json, '+00')))
}

function isoTimestampText(json: Json, zone: string): string {
  const match = typeof json === 'string' && ISO_TIMESTAMP.exec(json)
  if (!match) return misfit('a timestamp')
  const [, sign, year, date, time, fraction] = match
  const rest = `${date} ${time}${fractionText(fraction)}${zone}`
  if (sign === '' && year !== '0000') return `${year}${rest}`
  return eraText(Number(`${sign}${year}`), rest)
}

/** As many digits as it takes, and no more than PostgreSQL has. */
function fractionText(digits: string | undefined): string {
  if (digits === undefined) return ''
  let end = Math.min(digits.length, 6)
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--
  return end === 0 ? '' : `.${digits.slice(0, end)}`
}
