import type { ChangeEvent } from '../change/change-event.ts'
import type { RowImage } from '../change/row-image.ts'

/**
 * Which of a transaction's changes is the last of its row: fixed-size numbers per row (12 bytes and some room), whatever the rows
 * hold. Rows are told apart by 64 bits of hash; if two ever fell together, one of them would be invalidated instead of warmed,
 * which is right as well.
 */
export interface LastChanges {
  note(change: ChangeEvent): void
  /** undefined: more rows than are kept account of. */
  isSuperseded(change: ChangeEvent): boolean | undefined
}

/** Beyond it, some 100 MB would be needed: such transactions are worked off without this knowledge. */
const MAX_ROWS = 4_000_000
const FIRST_CAPACITY = 1 << 14
const MAX_LOAD_RATIO = 0.6

export function createLastChanges(options: { readonly maxRows?: number } = {}): LastChanges {
  const maxRows = options.maxRows ?? MAX_ROWS
  let table = createTable(FIRST_CAPACITY)
  let hasOverflowed = false

  function noteIdentity(high: number, low: number, ordinal: number): void {
    if (hasOverflowed) return
    if (table.count >= table.capacity * MAX_LOAD_RATIO) {
      if (table.count >= maxRows) {
        hasOverflowed = true
        table = createTable(1)
        return
      }
      table = grown(table)
    }
    const slot = slotOf(table, high, low)
    if (table.ordinals[slot] === 0) table.count++
    table.highs[slot] = high
    table.lows[slot] = low
    table.ordinals[slot] = ordinal
  }

  return {
    note(change) {
      for (const row of rowsOf(change)) {
        const [high, low] = identityOf(row)
        noteIdentity(high, low, change.position.ordinal)
      }
    },
    isSuperseded(change) {
      if (hasOverflowed) return undefined
      for (const row of rowsOf(change)) {
        const [high, low] = identityOf(row)
        if ((table.ordinals[slotOf(table, high, low)] ?? 0) > change.position.ordinal) return true
      }
      return false
    },
  }
}

interface Table {
  readonly capacity: number
  readonly highs: Uint32Array
  readonly lows: Uint32Array
  /** 0: free. Ordinals begin at 1. */
  readonly ordinals: Uint32Array
  count: number
}

function createTable(capacity: number): Table {
  return {
    capacity,
    highs: new Uint32Array(capacity),
    lows: new Uint32Array(capacity),
    ordinals: new Uint32Array(capacity),
    count: 0,
  }
}

function grown(table: Table): Table {
  const larger = createTable(table.capacity * 2)
  for (let slot = 0; slot < table.capacity; slot++) {
    const ordinal = table.ordinals[slot] ?? 0
    if (ordinal === 0) continue
    const high = table.highs[slot] ?? 0
    const low = table.lows[slot] ?? 0
    const to = slotOf(larger, high, low)
    larger.highs[to] = high
    larger.lows[to] = low
    larger.ordinals[to] = ordinal
    larger.count++
  }
  return larger
}

/** Where this identity is, or the free slot where it belongs. Linear probing; capacities are powers of two. */
function slotOf(table: Table, high: number, low: number): number {
  const mask = table.capacity - 1
  for (let slot = low & mask; ; slot = (slot + 1) & mask) {
    if (table.ordinals[slot] === 0 || (table.lows[slot] === low && table.highs[slot] === high)) return slot
  }
}

/** A row by its old identity and by its new one: a key that changes is left by one and taken by the other. */
function rowsOf(change: ChangeEvent): readonly RowImage[] {
  switch (change.op) {
    case 'c':
    case 'r':
      return [change.after]
    case 'u':
      return change.before ? [change.before, change.after] : [change.after]
    case 'd':
      return [change.before]
    case 't':
    case 'm':
      return []
  }
}

const FNV_PRIME = 0x01000193
const FNV_OFFSET = 0x811c9dc5
const OTHER_OFFSET = 0x9747b28c

/** FNV-1a twice, from different beginnings, over the relation and the texts of its key (of all columns where it has none). */
function identityOf(row: RowImage): readonly [high: number, low: number] {
  const { relation, texts } = row
  let high = Math.imul(OTHER_OFFSET ^ relation.oid, FNV_PRIME)
  let low = Math.imul(FNV_OFFSET ^ relation.oid, FNV_PRIME)
  for (const index of relation.keyColumns.length > 0 ? relation.keyColumns : texts.keys()) {
    const text = texts[index]
    const length = typeof text === 'string' ? text.length : 0
    for (let at = -1; at < length; at++) {
      const code =
        at >= 0 ? (text ?? '').charCodeAt(at) : text === null ? 0x10000 : text === undefined ? 0x10001 : 0x10002
      high = Math.imul(high ^ code, FNV_PRIME)
      high ^= high >>> 15
      low = Math.imul(low ^ code, FNV_PRIME)
    }
  }
  return [high >>> 0, low >>> 0]
}
