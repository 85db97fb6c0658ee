import { TrackOpsError } from '../../runtime/errors.ts'
import { parseExpressions } from './name-filter.ts'

/** One of Debezium's properties: its own name, its default, and how its text is read. */
export interface Property<T> {
  readonly name: string
  readonly default: T
  /** undefined: not a value that is allowed. */
  readonly parse: (text: string) => T | undefined
  /** What is allowed, for people. */
  readonly allowed: string
}

export function text<T extends string | null>(name: string, fallback: T): Property<string | T> {
  return { name, default: fallback, parse: (value) => value, allowed: 'a text' }
}

export function flag(name: string, fallback: boolean): Property<boolean> {
  const parse = (value: string): boolean | undefined => {
    return /^true$/i.test(value) ? true : /^false$/i.test(value) ? false : undefined
  }
  return { name, default: fallback, parse, allowed: 'true, false' }
}

export function oneOf<const T extends readonly string[]>(
  name: string,
  values: T,
  fallback: T[number],
): Property<T[number]> {
  const parse = (value: string): T[number] | undefined => values.find((known) => known === value.trim().toLowerCase())
  return { name, default: fallback, parse, allowed: values.join(', ') }
}

export function integer(name: string, fallback: number, range: { min: number; max: number }): Property<number> {
  const parse = (value: string): number | undefined => {
    const number = /^\d{1,10}$/.test(value.trim()) ? Number(value) : Number.NaN
    return number >= range.min && number <= range.max ? number : undefined
  }
  return { name, default: fallback, parse, allowed: `an integer from ${range.min} to ${range.max}` }
}

export function expressions(name: string): Property<readonly RegExp[] | null> {
  const parse = (value: string): readonly RegExp[] | undefined => {
    try {
      return parseExpressions(value)
    } catch {
      return undefined
    }
  }
  return { name, default: null, parse, allowed: 'regular expressions with commas between them' }
}

export function badValue(name: string, allowed: string): TrackOpsError {
  return new TrackOpsError('USAGE', `bad value for ${name}; allowed: ${allowed}`)
}
