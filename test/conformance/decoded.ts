/** Records of the real connector, read back by the consumers' own decoder, beside what a SELECT gives. */
import type { Sql } from 'postgres'

import { createCatalog } from '../../src/capture/catalog.ts'
import { describeTable } from '../../src/capture/describe-table.ts'
import { createChangeDecoder } from '../../src/change/debezium/decode/change-of-envelope.ts'
import { parseEnvelope } from '../../src/change/debezium/decode/envelope.ts'
import { topicsOf } from '../../src/change/debezium/topic.ts'
import { toLsn } from '../../src/change/lsn.ts'
import type { Relation } from '../../src/change/relation.ts'
import type { ColumnText, RowImage } from '../../src/change/row-image.ts'
import { valueOf } from '../../src/change/value.ts'
import type { GroupOutcome } from './both-captures.ts'

export interface DecodedRow {
  readonly op: 'c' | 'u' | 'r'
  readonly image: RowImage
}

const POSITION = { commitLsn: toLsn(1n), ordinal: 1 }

/** New rows of a table, in the order of their records. */
export function decodedRows({ options, theirs }: GroupOutcome, relation: Relation): readonly DecodedRow[] {
  const decoder = createChangeDecoder(options)
  const records = theirs.get(topicsOf(options).table(relation.schema, relation.table)) ?? []
  return records.flatMap((record): DecodedRow[] => {
    const envelope = parseEnvelope(record)
    const change = envelope.kind === 'row' ? decoder.changeOf(envelope, relation, POSITION) : null
    return change && 'after' in change ? [{ op: change.op, image: change.after }] : []
  })
}

export async function relationOf(sql: Sql, schema: string, table: string): Promise<Relation> {
  return await createCatalog(sql).resolve(await describeTable(sql, schema, table, false))
}

export type SelectedRows = ReadonlyMap<ColumnText | undefined, readonly ColumnText[]>

/** By id: each column as its type's output function writes it, which is how the cache reads (database-read.ts). */
export async function selectedRows(sql: Sql, { schema, table }: Relation): Promise<SelectedRows> {
  const rows: readonly unknown[] = await sql`select * from ${sql(`${schema}.${table}`)}`.raw()
  return new Map(
    (rows as readonly (Buffer | null)[][]).map((row) => {
      const texts = row.map((value) => value?.toString() ?? null)
      return [texts[0] ?? null, texts]
    }),
  )
}

/** Columns whose value is another one than the database's. One that is undefined is not read at all (L3). */
export function misreadColumns(image: RowImage, selected: readonly ColumnText[]): readonly string[] {
  const misread = image.relation.columns.filter(({ type }, index) => {
    const decoded = image.texts[index]
    const value = (text: ColumnText | undefined): string => JSON.stringify(valueOf(type, text ?? null))
    return decoded !== undefined && value(decoded) !== value(selected[index])
  })
  return misread.map(({ name }) => name)
}

export function unreadColumns({ relation, texts }: RowImage): readonly string[] {
  return relation.columns.filter((_, index) => texts[index] === undefined).map(({ name }) => name)
}
