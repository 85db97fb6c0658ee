import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { CliIo } from './io.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Beside the launcher, so that every command of one clone means the same system, from any working directory. */
export const DEFAULT_DATA_DIRECTORY = resolve(ROOT, '.trackops')

/** `TRACKOPS_CONFIG`, relative to the working directory, else the configuration of this clone. */
export function configFile(io: Pick<CliIo, 'env' | 'cwd'>): string {
  const given = io.env['TRACKOPS_CONFIG']
  return given ? resolve(io.cwd, given) : resolve(ROOT, 'trackops.config.ts')
}
