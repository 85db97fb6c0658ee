import { TrackOpsError } from '../runtime/errors.ts'
import { connectPostgres, type ServerUrls } from './connections.ts'
import type { LoadedConfig } from './load-config.ts'
import { prepareDatabases } from './prepare-databases.ts'

/** Adds the application's own sample rows. @throws TrackOpsError USAGE if the configuration has none */
export async function seedDatabase(loaded: LoadedConfig, urls: ServerUrls, count: number): Promise<void> {
  const { seed } = loaded.config
  if (!seed) throw new TrackOpsError('USAGE', `--seed: ${loaded.file} has no seed function.`)
  const databases = new Map(
    await Promise.all(
      [['source', urls.source] as const, ...Object.entries(urls.databases)].map(
        async ([name, url]) =>
          [name, await connectPostgres(url, { applicationName: 'trackops-seed', maxConnections: 2 })] as const,
      ),
    ),
  )
  const database = (name: string) => {
    const sql = databases.get(name)
    if (!sql) throw new TrackOpsError('CONFIG_INVALID', `the configuration has no database ${name}`)
    return sql
  }
  try {
    await prepareDatabases(loaded, database)
    await seed(database('source'), count)
  } finally {
    for (const sql of databases.values()) await sql.end({ timeout: 5 })
  }
}
