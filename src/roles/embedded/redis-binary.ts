/** Finds a Redis server on this machine. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { TrackOpsError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'

export interface LocatedRedis {
  readonly binary: string
  readonly environment?: Readonly<Record<string, string>>
}

export interface RedisBinaryOptions {
  readonly dataDirectory: string
  readonly log: Logger
}

const NAMES = ['redis-server', 'valkey-server']

export async function redisBinary(_options: RedisBinaryOptions): Promise<LocatedRedis> {
  const binary = onPath()
  if (binary !== null) return { binary }
  throw new TrackOpsError('SERVER_MISSING', 'There is no redis-server on this machine.')
}

function onPath(): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of NAMES) {
      const file = join(folder, name)
      try {
        accessSync(file, constants.X_OK)
        return file
      } catch {
        continue
      }
    }
  }
  return null
}
