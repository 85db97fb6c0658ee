/** The servers that `up` starts: what happens around their edges. Their normal life is in every other test. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { defer } from '../../../test/support/defer.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { makeTestDirectory, removeTestDirectory, SOFTWARE_DIRECTORY } from '../../../test/support/test-directory.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { SILENT } from '../../runtime/logger.ts'
import { createPostgresPool } from '../../runtime/postgres.ts'
import { assertNotInUse, openDataDirectory } from './data-directory.ts'
import { locateCluster, removeCluster } from './postgres-cluster.ts'
import { startPostgresServer } from './postgres-server.ts'
import { redisBinary } from './redis-binary.ts'
import { startRedisServer } from './redis-server.ts'
import { isAlive, type RunningServer, type ServerExit } from './server-process.ts'
import { createSupervisor } from './supervisor.ts'

test('a server left behind by a killed process is stopped properly and started again with its data', async (t) => {
  const dataDirectory = scratch(t)
  const options = {
    dataDirectory,
    logFile: join(dataDirectory, 'postgres.log'),
    port: await freePort(),
    settings: { fsync: 'off' },
  }
  // Nobody calls stop() on the first one: as when its trackops was killed with -9.
  const orphan = await startPostgresServer(options)
  await withSql(orphan.url, (sql) => sql`create table kept as select 1 as id`)
  const next = await startPostgresServer(options)
  defer(t, () => next.stop())
  assert.notEqual(next.pid, orphan.pid)
  assert.equal((await orphan.exited).exitCode, 0, 'a fast shutdown, not a kill')
  await withSql(next.url, async (sql) => assert.equal((await sql`select from kept`).length, 1))
})

test('a Redis left behind is stopped properly too, and its port is free for the next', async (t) => {
  const directory = scratch(t)
  const options = { ...(await binary()), directory, logFile: join(directory, 'redis.log'), port: await freePort() }
  const orphan = await startRedisServer(options)
  const next = await startRedisServer(options)
  defer(t, () => next.stop())
  assert.equal((await orphan.exited).exitCode, 0)
  assert.equal(isAlive(next.pid), true)
})

test('a port that somebody else has is named, with its purpose and the variable that changes it', async (t) => {
  const stranger = createServer()
  const port = await new Promise<number>((resolve) => {
    stranger.listen(0, '127.0.0.1', () => resolve((stranger.address() as { port: number }).port))
  })
  t.after(() => stranger.close())
  const directory = scratch(t)
  const common = { logFile: join(directory, 'log'), port }
  await assert.rejects(startPostgresServer({ ...common, dataDirectory: directory }), {
    code: 'PORT_TAKEN',
    message: `Port ${port} for PostgreSQL (TRACKOPS_POSTGRES_PORT) is taken by another program.`,
  })
  await assert.rejects(startRedisServer({ ...common, ...(await binary()), directory }), {
    code: 'PORT_TAKEN',
    message: `Port ${port} for Redis (TRACKOPS_REDIS_PORT) is taken by another program.`,
  })
})

test("a server that can't start is quoted", async (t) => {
  const directory = scratch(t)
  const common = { logFile: join(directory, 'log'), port: await freePort() }
  const redis = startRedisServer({ ...common, ...(await binary()), directory, settings: { nonsense: 'yes' } })
  await assert.rejects(redis, { code: 'SERVER_MISSING', message: /Redis did not start: .*nonsense/i })
  const postgres = startPostgresServer({
    ...common,
    dataDirectory: directory,
    settings: { fsync: 'off', wal_level: 'nonsense' },
  })
  await assert.rejects(postgres, { code: 'SERVER_MISSING', message: /PostgreSQL did not start: .*nonsense/ })
})

test('a left-over postmaster.pid that names a living stranger does not keep the server from starting', async (t) => {
  const dataDirectory = scratch(t)
  const options = {
    dataDirectory,
    logFile: join(dataDirectory, 'log'),
    port: await freePort(),
    settings: { fsync: 'off' },
  }
  await (await startPostgresServer(options)).stop()
  const stranger = spawn('sleep', ['3600'])
  t.after(() => stranger.kill('SIGKILL'))
  const cluster = await locateCluster(dataDirectory, undefined)
  writeFileSync(join(cluster, 'postmaster.pid'), `${stranger.pid}\n${cluster}\n`)
  const server = await startPostgresServer(options)
  await server.stop()
  assert.equal(stranger.exitCode ?? stranger.signalCode, null, 'and the stranger lives')
})

test('a data directory has one user at a time; a lock left by the dead is taken over', async (t) => {
  const directory = scratch(t)
  const first = await openDataDirectory(directory)
  await assert.rejects(openDataDirectory(directory), {
    code: 'DATA_DIRECTORY_BUSY',
    message: new RegExp(`${process.pid}`),
  })
  first.release()
  ;(await openDataDirectory(directory)).release()

  // An id of the dead; and our own id, given to a process that began at another time.
  for (const stale of ['4194305 1234', `${process.pid} 1`]) {
    writeFileSync(join(directory, 'lock'), stale)
    ;(await openDataDirectory(directory)).release()
  }
})

test('whether a data directory is in use can be asked without making or changing anything', async (t) => {
  const directory = join(scratch(t), 'deep', 'data')
  assertNotInUse(directory)
  assert.ok(!existsSync(directory))
  const opened = await openDataDirectory(directory)
  assert.throws(() => assertNotInUse(directory), { code: 'DATA_DIRECTORY_BUSY' })
  opened.release()
  assertNotInUse(directory)
})

test('a data directory that cannot be made is named, with the reason', async (t) => {
  const file = join(scratch(t), 'file')
  writeFileSync(file, '')
  // The last: a parent that is there, and in which nothing can be made. Node's own recursive mkdir never returns from it.
  const places: [string, string][] = [
    [file, 'EEXIST'],
    [join(file, 'below'), 'ENOTDIR|EEXIST'],
    ...(process.platform === 'linux' ? [['/proc/trackops', 'ENOENT|EACCES'] as [string, string]] : []),
  ]
  for (const [directory, reason] of places) {
    assertNotInUse(directory)
    await assert.rejects(openDataDirectory(directory), {
      code: 'CONFIG_INVALID',
      message: new RegExp(`The data directory ${directory} .*(${reason})`, 'u'),
    })
  }
})

test('--reset removes the data and leaves what is not ours, and the unpacked software', async (t) => {
  const directory = scratch(t)
  for (const name of ['redis', 'postgres', 'logs', 'software', 'holiday-photos']) {
    mkdirSync(join(directory, name))
    writeFileSync(join(directory, name, 'file'), '')
  }
  ;(await openDataDirectory(directory, { reset: true })).release()
  const left = ['redis', 'postgres', 'logs', 'software', 'holiday-photos'].filter((name) =>
    existsSync(join(directory, name, 'file')),
  )
  assert.deepEqual(left, ['software', 'holiday-photos'])
})

test('a cluster that had to go elsewhere comes back neither after a reset nor after its data directory was deleted', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root puts clusters elsewhere')
  const directory = join(scratch(t), 'closed')
  mkdirSync(directory, { mode: 0o700 })
  const nobody = { uid: 65_534, gid: 65_534 }
  const elsewhere = await locateCluster(directory, nobody)
  defer(t, () => removeTestDirectory(join(elsewhere, '..')))
  assert.match(elsewhere, /^\/var\/lib\/trackops\//)
  mkdirSync(elsewhere)
  writeFileSync(join(elsewhere, 'row'), '')
  assert.equal(await locateCluster(directory, nobody), elsewhere)
  assert.ok(existsSync(join(elsewhere, 'row')), 'found again')

  removeTestDirectory(directory)
  mkdirSync(directory, { mode: 0o700 })
  assert.equal(await locateCluster(directory, nobody), elsewhere)
  assert.ok(!existsSync(join(elsewhere, 'row')), 'of another data directory at the same path')

  await removeCluster(directory)
  assert.ok(!existsSync(join(elsewhere, '..')), 'removed by a reset')
})

test('a server that dies while it runs is started again, and a start that fails is tried again', async () => {
  const starts: FakeServer[] = []
  let failures = 0
  const start = async (): Promise<RunningServer> => {
    if (starts.length === 1 && failures < 3) {
      failures += 1
      throw new Error('not yet')
    }
    const server = fakeServer(starts.length + 1)
    starts.push(server)
    return server
  }
  const supervised = await createSupervisor({ start, log: SILENT }, { name: 'Fake', backoff: { firstMs: 1 } })
  assert.equal(supervised.pid(), 1)
  starts[0]?.die()
  await waitFor(() => supervised.pid() === 2, { what: 'the second server' })
  assert.deepEqual([failures, supervised.restarts()], [3, 1])
  await supervised.stop()
  assert.equal(starts[1]?.stopped, 1)
  assert.equal(starts.length, 2, 'a server that was stopped stays stopped')
})

test('stopping in the middle of a restart ends it', async () => {
  const first = fakeServer(1)
  let attempts = 0
  const start = (signal: AbortSignal): Promise<RunningServer> => {
    attempts += 1
    if (attempts === 1) return Promise.resolve(first)
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
  }
  const supervised = await createSupervisor({ start, log: SILENT }, { name: 'Fake', backoff: { firstMs: 1 } })
  first.die()
  await waitFor(() => attempts === 2, { what: 'the second start' })
  await supervised.stop()
  assert.equal(supervised.pid(), null)
})

test('the log of a server is kept below the data directory', async (t) => {
  const directory = scratch(t)
  const data = await openDataDirectory(directory)
  t.after(() => data.release())
  const server = await startRedisServer({
    ...(await binary()),
    directory: data.redisDirectory,
    logFile: data.logFile('redis'),
    port: await freePort(),
  })
  await server.stop()
  assert.match(readFileSync(join(directory, 'logs', 'redis.log'), 'utf8'), /Ready to accept connections/)
})

interface FakeServer extends RunningServer {
  stopped: number
  die(): void
}

function fakeServer(pid: number): FakeServer {
  const { promise, resolve } = Promise.withResolvers<ServerExit>()
  return {
    url: 'fake:',
    port: 1,
    pid,
    exited: promise,
    stopped: 0,
    die: () => resolve({ exitCode: 1, signal: null }),
    async stop() {
      this.stopped += 1
      resolve({ exitCode: 0, signal: null })
    },
    kill: async () => resolve({ exitCode: null, signal: 'SIGKILL' }),
  }
}

function scratch(t: TestContext): string {
  const directory = makeTestDirectory('embedded')
  defer(t, async () => {
    await removeCluster(directory)
    removeTestDirectory(directory)
  })
  return directory
}

function binary() {
  return redisBinary({ softwareDirectory: SOFTWARE_DIRECTORY, say: () => undefined })
}

async function withSql(
  url: string,
  work: (sql: ReturnType<typeof createPostgresPool>) => Promise<unknown>,
): Promise<void> {
  const sql = createPostgresPool(url, { applicationName: 'embedded-test', maxConnections: 1 })
  try {
    await work(sql)
  } finally {
    await sql.end()
  }
}
