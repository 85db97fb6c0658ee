/** The orders that a soak writes and reads: few, so that each of them is hit often, and always others. */
import type { At } from '../history/record.ts'

export interface SoakRow {
  readonly id: string
  readonly customerId: string
  /** Made through the service, with items: it has other writers, too. */
  readonly isOrdered: boolean
}

export interface SoakRows {
  add(row: SoakRow): void
  /** It stays among those that are read for a while: a row that comes back would be seen. */
  remove(row: SoakRow): void
  pick(random: () => number): SoakRow | undefined
  pickOrdered(random: () => number): SoakRow | undefined
  /** All that are read. */
  watched(): readonly SoakRow[]
  /** Rows that fell out long ago: no answer about them can be under way. */
  retired(): readonly SoakRow[]
  customer(random: () => number): string
}

const MAX_PLAIN = 60
const MAX_ORDERED = 20
const MAX_GONE = 20
const CUSTOMERS = 15
const LATE_ANSWERS = 2_000

export function createSoakRows(random: () => number): SoakRows {
  const customers = Array.from({ length: CUSTOMERS }, () => seededUuid(random))
  const plain: SoakRow[] = []
  const ordered: SoakRow[] = []
  const gone: SoakRow[] = []
  const retired: SoakRow[] = []
  const one = (from: readonly SoakRow[], by: () => number): SoakRow | undefined => from[Math.floor(by() * from.length)]
  const bound = (list: SoakRow[], most: number): void => {
    while (list.length > most) retired.push(...list.splice(0, 1))
  }
  return {
    add(row) {
      const list = row.isOrdered ? ordered : plain
      list.push(row)
      bound(list, row.isOrdered ? MAX_ORDERED : MAX_PLAIN)
    },
    remove(row) {
      const at = plain.indexOf(row)
      if (at === -1) return
      plain.splice(at, 1)
      gone.push(row)
      bound(gone, MAX_GONE)
    },
    pick: (by) => one(plain, by),
    pickOrdered: (by) => one(ordered, by),
    watched: () => [...plain, ...ordered, ...gone],
    retired() {
      return retired.splice(0, Math.max(0, retired.length - LATE_ANSWERS))
    },
    customer: (by) => customers[Math.floor(by() * CUSTOMERS)] ?? '',
  }
}

export function seededUuid(random: () => number): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')
  return hex.replace(/^(.{8})(.{4}).(.{3})(.{4})(.{12})$/, '$1-$2-4$3-$4-$5')
}

/** `2026-01-31T12:00:00.123456Z` in microseconds. */
export function atOf(text: string): At {
  return Date.parse(`${text.slice(0, 23)}Z`) * 1000 + Number(text.slice(23, 26))
}
