/** Redis for tests: a server of its own for each call, which takes some 20 ms. */
import { join } from 'node:path'

import { redisBinary } from '../../src/roles/embedded/redis-binary.ts'
import { startRedisServer } from '../../src/roles/embedded/redis-server.ts'
import { defer, type TestScope } from './defer.ts'
import { onFreePort } from './postgres-cluster.ts'
import { makeTestDirectory, removeTestDirectory, SOFTWARE_DIRECTORY } from './test-directory.ts'

export interface TestRedis {
  /** Stays the same over restarts. */
  readonly url: string
  readonly port: number
  readonly dataDirectory: string
  /** Starts it where it was stopped or killed, with the data that its file has. */
  start(): Promise<void>
  /** Graceful: nothing is lost (where `appendonly` is on). */
  stop(): Promise<void>
  /** SIGKILL: what was not yet written to the file is lost. */
  kill(): Promise<void>
}

/** `settings` as in redis.conf, over appendonly yes, appendfsync everysec, noeviction. Gone when the test is over. */
export async function testRedis(
  scope: TestScope,
  options: { readonly settings?: Readonly<Record<string, string>> } = {},
): Promise<TestRedis> {
  const dataDirectory = makeTestDirectory('redis')
  const located = await redisBinary({ softwareDirectory: SOFTWARE_DIRECTORY, say: () => undefined })
  const serverOptions = {
    ...located,
    directory: dataDirectory,
    logFile: join(dataDirectory, 'redis.log'),
    settings: { ...options.settings },
  }
  let server = await onFreePort((port) => startRedisServer({ ...serverOptions, port }))
  const { url, port } = server
  let isRunning = true
  const emergency = (): void => {
    if (isRunning) process.kill(server.pid, 'SIGKILL')
  }
  process.on('exit', emergency)

  const end = async (how: 'stop' | 'kill'): Promise<void> => {
    if (!isRunning) return
    isRunning = false
    await server[how]()
  }
  defer(scope, async () => {
    await end('kill')
    process.off('exit', emergency)
    removeTestDirectory(dataDirectory)
  })
  return {
    url,
    port,
    dataDirectory,
    async start() {
      if (isRunning) return
      server = await startRedisServer({ ...serverOptions, port })
      isRunning = true
    },
    stop: () => end('stop'),
    kill: () => end('kill'),
  }
}
