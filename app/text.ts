import type { Value } from '../src/index.ts'

/** By code unit: not for people to read, but the same on every machine. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** A member that is a text where it is anything; '' where it is null. */
export function textOf(value: Value | undefined): string {
  return typeof value === 'string' ? value : ''
}
