/** What the consumers' decoder does not read, or reads as another value, by the modes of the group. All else is the database's value. */
import type { GroupName } from './case.ts'
import { TYPE_TABLES } from './cases/types.ts'

/** Debezium leaves these out, or `include.unknown.datatypes` gives their text. */
const UNKNOWN = 'mr tq lq is13 bx cc ln ls pa po co lsn xid jp rc tid abx aco adp alsn amr'
/** Left out always, or written so that the value is lost: each is partial, and read from the database (L3). */
const NEVER = 'na vb vb1 vb12 tz tz0 ana axm aen aiv amo abi abi1 avb apt ati atz mi mt'

const columns = (...lists: readonly string[]): ReadonlySet<string> => new Set(lists.join(' ').split(' '))

export const UNREAD: Readonly<Record<GroupName, ReadonlySet<string>>> = {
  defaults: columns(NEVER, UNKNOWN, 'nneg iv ivd'),
  registered: columns(NEVER, UNKNOWN, 'nneg iv'),
  double: columns(NEVER, 'iv t t4 t6 s s4 s6 ast'),
  iso: columns(NEVER, UNKNOWN, 'nneg mo t t0 iv ivd'),
  nanoseconds: columns(NEVER, 'nneg iv ivd'),
  'with-schemas': columns(NEVER, 'nneg iv ivd'),
}

/**
 * Where decimals are no strings: trailing zeros and NaN are lost, or digits. Preflight warns of these modes, and
 * `trackops connector` registers none of them.
 */
export const MISREAD: Readonly<Record<GroupName, ReadonlySet<string>>> = {
  defaults: columns('nu n32 anu'),
  registered: new Set(),
  double: columns('nu n3810 mo anu'),
  iso: columns('nu n32 anu'),
  nanoseconds: new Set(),
  'with-schemas': columns('nu n32 anu'),
}

/** Debezium's snapshot has other days before 1582. Its rows are never values of the cache (PROTOCOL.md). */
export const MISREAD_IN_SNAPSHOT = 'd'

export const COMPARED_TABLES: readonly string[] = TYPE_TABLES.flatMap(({ name }) => [name, `${name}_full`])

export const MISREAD_FULL: Readonly<Record<GroupName, readonly string[]>> = {
  defaults: [],
  registered: [],
  double: ['nu'],
  iso: [],
  nanoseconds: [],
  'with-schemas': [],
}

/** Whose type is not read, whatever the identity. */
export const UNREAD_FULL = columns('vb po co ati ast')
