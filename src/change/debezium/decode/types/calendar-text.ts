import { isoTime, shortFraction } from '../../types/calendar.ts'

const MICROS_PER_SECOND = 1_000_000

/** Microseconds of the day, 24:00:00 included. */
export function timeText(microsOfDay: number): string {
  const seconds = Math.floor(microsOfDay / MICROS_PER_SECOND)
  return isoTime(seconds) + shortFraction(microsOfDay - seconds * MICROS_PER_SECOND)
}

/** `rest` is what follows the date. PostgreSQL has the era at the very end. */
export function dateText(daysSinceEpoch: number, rest = ''): string {
  const { year, month, day } = civilDate(daysSinceEpoch)
  return eraText(year, `-${twoDigits(month)}-${twoDigits(day)}${rest}`)
}

/** `year` is astronomical: 0 is 1 BC. */
export function eraText(year: number, rest: string): string {
  return year > 0 ? fourDigits(year) + rest : `${fourDigits(1 - year)}${rest} BC`
}

/** The reverse of `daysSinceEpoch`. http://howardhinnant.github.io/date_algorithms.html */
function civilDate(daysSinceEpoch: number): { year: number; month: number; day: number } {
  const z = daysSinceEpoch + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const mp = Math.floor((5 * dayOfYear + 2) / 153)
  const month = mp < 10 ? mp + 3 : mp - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * mp + 2) / 5) + 1,
  }
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

function fourDigits(value: number): string {
  return value > 999 ? String(value) : String(value).padStart(4, '0')
}
