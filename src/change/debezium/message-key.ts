import { anchored } from './name-filter.ts'
import { badValue } from './property.ts'

/** `message.key.columns`: other key columns than the table's own, in the order given. */
export interface MessageKey {
  readonly tables: RegExp
  readonly columns: readonly string[]
}

/** `public.t:a,b;public.u:c`; the table is a regular expression on `schema.table`. @throws TrackOpsError USAGE */
export function parseMessageKeys(value: string): readonly MessageKey[] {
  const parts = value.split(';').filter((part) => part.trim() !== '')
  return parts.map((part) => {
    const at = part.lastIndexOf(':')
    const columns = part
      .slice(at + 1)
      .split(',')
      .map((column) => column.trim())
    if (at <= 0 || columns.some((column) => column === '')) throw notAKey()
    try {
      return { tables: anchored(part.slice(0, at).trim()), columns }
    } catch {
      throw notAKey()
    }
  })
}

function notAKey(): Error {
  return badValue(
    'message.key.columns',
    'TABLES:COLUMN,COLUMN;TABLES:COLUMN, TABLES a regular expression on schema.table',
  )
}
