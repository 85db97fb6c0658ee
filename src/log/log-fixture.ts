/** For tests: a database with TrackOps's own tables, and events told by few words. */
import { fileURLToPath } from 'node:url'

import type { Sql } from 'postgres'

import type { TestScope } from '../../test/support/defer.ts'
import { ownPostgres, type OwnPostgres, type TestDatabase, testPostgres } from '../../test/support/postgres.ts'
import { runMigrations } from '../runtime/migrations.ts'
import type { DomainEvent } from './domain-event.ts'

export async function logDatabase(scope: TestScope): Promise<TestDatabase> {
  const database = await testPostgres(scope)
  await migrate(database.sql)
  return database
}

/** In a server of its own, for tests that stop it. */
export async function ownLogDatabase(scope: TestScope): Promise<OwnPostgres> {
  const server = await ownPostgres(scope)
  await migrate(server.sql)
  return server
}

async function migrate(sql: Sql): Promise<void> {
  const directory = fileURLToPath(new URL('./migrations', import.meta.url))
  await runMigrations(sql, { directory, table: 'trackops.migrations' })
}

export function event(eventId: string, more: Partial<DomainEvent> = {}): DomainEvent {
  return { eventId, topic: 'things', key: eventId, payload: { eventId }, ...more }
}

/** Ids of the log's events, by seq. */
export async function published(sql: Sql): Promise<string[]> {
  const rows = await sql<{ event_id: string }[]>`select event_id from trackops.domain_events order by seq`
  return rows.map((row) => row.event_id)
}
