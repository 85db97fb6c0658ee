/** The order system with invalidator and warmer apart, for a process of its own. */
import { join } from 'node:path'

import config from '../../trackops.config.ts'
import { type DatabaseConfig, defineConfig } from '../../src/roles/define-config.ts'

const ROOT = join(import.meta.dirname, '../..')
const { source, databases = {} } = config

// oxlint-disable-next-line import/no-default-export -- a configuration file has one
export default defineConfig({
  ...config,
  source: { ...source, ...migrationsOf(source) },
  databases: Object.fromEntries(
    Object.entries(databases).map(([name, database]) => [name, { ...database, ...migrationsOf(database) }]),
  ),
  cache: { consumers: 'apart' },
})

/** They are relative to the file that names them. */
function migrationsOf({ migrations }: DatabaseConfig): { readonly migrations?: string } {
  return migrations === undefined ? {} : { migrations: join(ROOT, migrations) }
}
