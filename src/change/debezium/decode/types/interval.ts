import type { DebeziumModes } from '../modes.ts'
import { misfit, typeDecoder, type TypeDecoder } from './type-decoder.ts'

const DURATION = /^P(-?\d+)Y(-?\d+)M(-?\d+)DT(-?\d+)H(-?\d+)M(-?)(\d+)(?:\.(\d{1,9}))?S$/

const ZERO = 'P0Y0M0DT0H0M0S'

/**
 * Microseconds alone do not say how many of them are months and days: 86400000000 is `1 day` and `24:00:00`, which
 * PostgreSQL tells apart.
 */
export function intervalDecoder(modes: DebeziumModes): TypeDecoder {
  if (modes.intervalHandlingMode === 'numeric') {
    return typeDecoder((json) => {
      return typeof json === 'number' || typeof json === 'bigint' ? undefined : misfit('an interval as a number')
    })
  }
  return typeDecoder((json) => {
    if (json === 'infinity' || json === '-infinity') return json
    // Debezium's driver does not know infinite intervals, and gives this for them.
    if (json === ZERO) return undefined
    const match = typeof json === 'string' && DURATION.exec(json)
    return match ? intervalText(match) : misfit('an interval')
  })
}

/** IntervalStyle postgres: after a part below zero, one above it has its sign. */
function intervalText(match: RegExpExecArray): string {
  const [, years, months, days, hours = '0', minutes = '0', secondsSign, seconds = '0', fraction = ''] = match
  let text = ''
  let isAfterNegative = false
  const add = (part: string | undefined, unit: string): void => {
    const value = Number(part)
    if (value === 0) return
    const plus = isAfterNegative && value > 0 ? '+' : ''
    text += `${text === '' ? '' : ' '}${plus}${value} ${unit}${value === 1 ? '' : 's'}`
    isAfterNegative = value < 0
  }
  add(years, 'year')
  add(months, 'mon')
  add(days, 'day')
  const micros = fraction.slice(0, 6).replace(/0+$/, '')
  const isZero = Number(hours) === 0 && Number(minutes) === 0 && Number(seconds) === 0 && micros === ''
  if (isZero) return text === '' ? '00:00:00' : text
  const isNegative = secondsSign === '-' || hours.startsWith('-') || minutes.startsWith('-')
  const sign = isNegative ? '-' : isAfterNegative ? '+' : ''
  const time = [hours, minutes, seconds].map((part) => part.replace('-', '').padStart(2, '0')).join(':')
  return `${text === '' ? '' : `${text} `}${sign}${time}${micros === '' ? '' : `.${micros}`}`
}
