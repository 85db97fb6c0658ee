/**
 * Reads the rows behind many keys of a view in one statement, together with the snapshot of that very statement, and the
 * WAL insert position after it (PROTOCOL.md, "Versions").
 *
 * - One statement outside any transaction block: its snapshot is `pg_current_snapshot()`, whatever the isolation level.
 * - The snapshot is taken before execution begins and the insert position is a volatile function, evaluated during it: so everything
 *   that the snapshot shows lies before that position. A position that is a little too high only keeps a few keys cold.
 * - The driver's raw mode gives each column as its type's output function wrote it: exactly what pgoutput sends. A cast to text would
 *   not: it writes booleans in full and drops the padding of char(n).
 * - Each statement brings a number along and has to get it back. An answer to an earlier question would be from before its lease, and nothing
 *   in Redis could tell; drivers have given such answers after lost connections (docs/decisions/0013).
 * - A function in a query view that is VOLATILE takes snapshots of its own: declare such functions STABLE.
 */
import { randomBytes } from 'node:crypto'

import type { Sql } from 'postgres'

import { type Lsn, parseLsn } from '../change/lsn.ts'
import { parseSnapshot } from '../change/transaction-id.ts'
import { valueOf } from '../change/value.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { fromPostgres, postgresErrorCode, sqlStateOf } from '../runtime/postgres-errors.ts'
import { TEXT_FORM_SETTINGS } from '../runtime/postgres.ts'
import type { CompiledListView, CompiledQueryView, CompiledRowView, CompiledView } from './compiled-view.ts'
import type { Floor } from './floor.ts'
import { arrayLiteral, type KeyColumn, keyCondition, quote, quotedTable, readKeyColumns } from './key-columns.ts'
import { canonicalText, memberField } from './key-template.ts'
import { createTypeCatalog } from './type-catalog.ts'
import type { KeyParameters, Row } from './view.ts'
import { documentText } from './view-document.ts'

export interface DatabaseReads {
  /** The key that these parameters name, in canonical text. @throws TrackOpsError CONFIG_INVALID for a missing parameter */
  keyOf(view: CompiledView, parameters: KeyParameters): Promise<WantedKey>
  /** Usually one read; more if a key had to be read apart from the others. */
  read(view: CompiledView, keys: readonly WantedKey[]): Promise<readonly DatabaseRead[]>
  /** What the database shows now. */
  floor(): Promise<Floor>
}

export interface WantedKey {
  readonly key: string
  /** One for each of the template's parameters. */
  readonly texts: readonly string[]
}

export interface DatabaseRead {
  /** `pg_snapshot` as text. */
  readonly snapshot: string
  readonly insertLsn: Lsn
  /** For every key that was asked for. */
  readonly found: ReadonlyMap<string, Found>
}

export type Found =
  | { readonly kind: 'document'; readonly text: string }
  | { readonly kind: 'members'; readonly members: ReadonlyMap<string, string> }
  /** No such row, or one without an entry. */
  | { readonly kind: 'absent' }
  /** The view's function threw, or its code is at fault. Not to be stored, nor answered. */
  | { readonly kind: 'failed'; readonly error: unknown }

const TEXT_OID = 25
/** Text that is no value of the column's type: 22P02, out of range 22003, dates 22007 and 22008, encoding 22021. */
const NO_SUCH_VALUE = /^22(P02|003|007|008|021)$/
/** A table or type has changed since the catalog was read. */
const STALE_CATALOG = /^(42P01|42703|42704|42883|42846|0A000|XX000)$/
const META_COLUMNS = 5

type RawRow = readonly (Buffer | null)[]

interface RawResult {
  readonly columns: readonly { readonly name: string; readonly type: number }[]
  readonly rows: readonly RawRow[]
  readonly snapshot: string
  readonly insertLsn: Lsn
}

export function createDatabaseReads(deps: { readonly sql: Sql }): DatabaseReads {
  const { sql } = deps
  const types = createTypeCatalog(sql)
  const keyColumns = new Map<CompiledView, Promise<readonly KeyColumn[]>>()
  let hasCheckedSession = false
  const asker = randomBytes(6).toString('base64url')
  let questions = 0

  function forgetCatalog(): void {
    types.forget()
    keyColumns.clear()
  }

  async function columnsOf(view: CompiledRowView | CompiledListView): Promise<readonly KeyColumn[]> {
    let columns = keyColumns.get(view)
    if (!columns) {
      columns = readKeyColumns(sql, view)
      keyColumns.set(view, columns)
      columns.catch(() => keyColumns.delete(view))
    }
    return await columns
  }

  /** Views that are read through a session with other settings would give other documents than change events do. */
  async function checkSession(): Promise<void> {
    if (hasCheckedSession) return
    const [row] = await sql<{ zone: string; style: string; bytea: string }[]>`
      select current_setting('TimeZone') as zone, current_setting('DateStyle') as style, current_setting('bytea_output') as bytea`
    const isRight =
      row?.zone === TEXT_FORM_SETTINGS.TimeZone && row.style === TEXT_FORM_SETTINGS.DateStyle && row.bytea === 'hex'
    if (!isRight)
      throw new TrackOpsError(
        'CONFIG_INVALID',
        'the sessions that read for the cache need TimeZone UTC, DateStyle ISO and bytea_output hex',
      )
    hasCheckedSession = true
  }

  async function run(body: string, parameters: readonly string[]): Promise<RawResult> {
    await checkSession()
    const question = `${asker}-${++questions}`
    const text = `select pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_is_in_recovery(),
      case when pg_catalog.pg_is_in_recovery() then null else pg_catalog.pg_current_wal_insert_lsn() end::text,
      $${parameters.length + 1}::text, r.*
      from (select 1) as one left join lateral (${body}) as r on true`
    const result = await sql
      .unsafe(
        text,
        [...parameters, question].map((value) => sql.typed(value as never, TEXT_OID)),
        { prepare: true },
      )
      .raw()
    const rows = result as unknown as RawRow[]
    const [snapshot, isStandby, insertLsn, answered] = (rows[0] ?? []).map((value) => value?.toString() ?? null)
    if (answered !== question)
      throw new TrackOpsError('POSTGRES_PROTOCOL', 'a statement got the answer to another one', {
        details: { question, answered: answered ?? null },
      })
    if (isStandby !== 'f' || !snapshot || !insertLsn) {
      throw new TrackOpsError(
        'DATABASE_IS_STANDBY',
        'the cache is filled from the primary only: the snapshots of a standby omit running transactions',
      )
    }
    const columns = (result as unknown as { columns: RawResult['columns'] }).columns.slice(META_COLUMNS)
    await types.load(columns.map(({ type }) => type))
    const found = rows.filter((row) => row[META_COLUMNS - 1] !== null).map((row) => row.slice(META_COLUMNS))
    return { columns, rows: found, snapshot, insertLsn: parseLsn(insertLsn) }
  }

  function rowOf(result: RawResult, raw: RawRow): Row {
    const row: Record<string, Row[string]> = {}
    for (const [index, { name, type }] of result.columns.entries()) {
      row[name] = valueOf(types.get(type), raw[index]?.toString('utf8') ?? null)
    }
    return row
  }

  async function readKeyed(
    view: CompiledRowView | CompiledListView,
    keys: readonly WantedKey[],
  ): Promise<DatabaseRead> {
    const named = await columnsOf(view)
    const { table, columns } = view.view
    const body = `select true, ${columns.map((column) => `t.${quote(column)}`).join(', ')} from ${quotedTable(table)} as t where ${keyCondition(named)}`
    const parameters = named.map((_, index) => arrayLiteral(keys.map(({ texts }) => texts[index] ?? '')))
    const result = await run(body, parameters)

    const found = new Map<string, Found>()
    for (const { key } of keys)
      found.set(key, view.kind === 'list' ? { kind: 'members', members: new Map() } : { kind: 'absent' })
    const places = named.map(({ name }) => columns.indexOf(name))
    for (const raw of result.rows) {
      const texts = places.map((place, index) =>
        canonicalText(named[index]?.typeName, raw[place]?.toString('utf8') ?? ''),
      )
      const key = view.template.format(texts)
      const before = found.get(key)
      // A fill is stored only under the key that its own row names.
      if (!before) continue
      found.set(key, foundIn(view, result, raw, before))
    }
    return { snapshot: result.snapshot, insertLsn: result.insertLsn, found }
  }

  function foundIn(view: CompiledRowView | CompiledListView, result: RawResult, raw: RawRow, before: Found): Found {
    if (before.kind === 'failed') return before
    try {
      const text = documentText(view, rowOf(result, raw))
      if (view.kind === 'row') return text === null ? before : { kind: 'document', text }
      if (text === null || before.kind !== 'members') return before
      const place = view.view.columns.indexOf(view.view.member)
      const type = result.columns[place]?.type
      const id = raw[place]?.toString('utf8')
      if (id === undefined || type === undefined) return before
      return {
        kind: 'members',
        members: (before.members as Map<string, string>).set(
          memberField(canonicalText(types.get(type).name, id)),
          text,
        ),
      }
    } catch (error) {
      return { kind: 'failed', error: withoutValues(view, error) }
    }
  }

  async function readQuery(view: CompiledQueryView, wanted: WantedKey): Promise<DatabaseRead> {
    const result = await run(`select true, u.* from (${view.view.sql.replace(/;\s*$/, '')}) as u limit 1`, wanted.texts)
    let found: Found = { kind: 'absent' }
    const [raw] = result.rows
    if (raw) {
      try {
        const text = documentText(view, rowOf(result, raw))
        if (text !== null) found = { kind: 'document', text }
      } catch (error) {
        found = { kind: 'failed', error: withoutValues(view, error) }
      }
    }
    return { snapshot: result.snapshot, insertLsn: result.insertLsn, found: new Map([[wanted.key, found]]) }
  }

  async function readOnce(view: CompiledView, keys: readonly WantedKey[]): Promise<DatabaseRead[]> {
    if (view.kind !== 'query') return [await readKeyed(view, keys)]
    const reads: DatabaseRead[] = []
    for (const key of keys) reads.push(await readQuery(view, key))
    return reads
  }

  async function read(view: CompiledView, keys: readonly WantedKey[], isRetry: boolean): Promise<DatabaseRead[]> {
    try {
      return await readOnce(view, keys)
    } catch (error) {
      const state = sqlStateOf(error) ?? ''
      if (view.kind !== 'query' && NO_SUCH_VALUE.test(state)) {
        // One key that can be no value fails the statement for all: read them apart. A text that is no value of its column's
        // type names no row, now and for ever: it needs no entry.
        if (keys.length === 1)
          return [await readKeyed(view, [])].map((empty) => ({ ...empty, found: nothingAt(view, keys) }))
        const middle = keys.length >> 1
        return [
          ...(await read(view, keys.slice(0, middle), isRetry)),
          ...(await read(view, keys.slice(middle), isRetry)),
        ]
      }
      if (!isRetry && STALE_CATALOG.test(state)) {
        forgetCatalog()
        return await read(view, keys, true)
      }
      throw fromPostgres(error, `reading for view ${view.name}`)
    }
  }

  return {
    async keyOf(view, parameters) {
      // Without the database, what is in Redis can still be read: a type is then guessed from the text.
      const named = view.kind === 'query' ? [] : await columnsOf(view).catch(unlessUnreachable)
      const texts = view.template.parameters.map((name, index) => {
        const text = parameters[name]
        if (text === undefined)
          throw new TrackOpsError('CONFIG_INVALID', `view ${view.name}: the key needs the parameter ${name}`)
        // A query's parameters have no column; a UUID is taken for one by its looks.
        return canonicalText(named[index]?.typeName ?? looksOf(text), text)
      })
      return { key: view.template.format(texts), texts }
    },
    read: (view, keys) => read(view, keys, false),
    async floor() {
      try {
        const { snapshot, insertLsn } = await run('select true', [])
        return { snapshot: parseSnapshot(snapshot), insertLsn }
      } catch (error) {
        throw fromPostgres(error, 'reading what the database shows')
      }
    },
  }
}

function unlessUnreachable(error: unknown): readonly KeyColumn[] {
  if (postgresErrorCode(error) === 'POSTGRES_UNREACHABLE') return []
  throw error
}

function nothingAt(view: CompiledView, keys: readonly WantedKey[]): Map<string, Found> {
  return new Map(
    keys.map(({ key }) => [key, view.kind === 'list' ? { kind: 'members', members: new Map() } : { kind: 'absent' }]),
  )
}

function looksOf(text: string): string | undefined {
  return /^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/.test(text) ? 'uuid' : undefined
}

function withoutValues(view: CompiledView, error: unknown): unknown {
  if (error instanceof TrackOpsError) return error
  return new TrackOpsError('DECODE', `a column that view ${view.name} reads does not read as its type`, {
    details: { view: view.name },
  })
}
