import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Sql } from 'postgres'

import { runMigrations } from '../runtime/migrations.ts'
import type { LoadedConfig } from './load-config.ts'

const LOG_MIGRATIONS = fileURLToPath(new URL('../log/migrations', import.meta.url))

/** Brings every database to the schema of this version: TrackOps's own tables, then the application's. */
export async function prepareDatabases(loaded: LoadedConfig, database: (name: string) => Sql): Promise<void> {
  const { config, directory } = loaded
  await runMigrations(database('source'), { directory: LOG_MIGRATIONS, table: 'trackops.migrations' })
  const own = [['source', config.source] as const, ...Object.entries(config.databases ?? {})]
  for (const [name, { migrations }] of own) {
    if (migrations === undefined) continue
    await runMigrations(database(name), {
      directory: resolve(directory, migrations),
      table: `trackops_migrations_${name.replaceAll(/[^a-z0-9]/gi, '_')}`,
    })
  }
}
