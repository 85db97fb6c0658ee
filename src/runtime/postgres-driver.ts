/**
 * postgres.js, mended where it is loaded. Of 3.4.9 (github.com/porsager/postgres issues 1154, 1208, not mended there yet), when a server
 * dies within transactions:
 *
 * - what a transaction still has to say, its rollback first of all, goes to its place in the pool, even if that place has
 *   connected anew by then: before its greeting, so that the place is lost, or into somebody else's transaction, which it ends;
 * - a small write waits for the end of the turn, and then fails on a socket that is gone, outside of any promise: the process ends;
 * - or what was to be written stays with the mark that somebody will write it: nothing is ever sent on the next connection in this place;
 * - or what was waiting for its answer stays, and takes the next connection's answers for its own: that place waits for ever.
 *
 * The queries themselves have been rejected by then, so what is not written is nothing lost. And it shows its connections (`poolConnections`), for
 * half-open.ts. A version whose text is another is loaded as
 * it is; postgres-driver.test.ts says so.
 */
import { registerHooks } from 'node:module'

import type { Sql } from 'postgres'

import type { PoolConnection } from './half-open.ts'

const FILE = /\/postgres\/src\/(connection|index)\.js$/

type Mend = readonly [found: string, mended: string]

const MENDS: Readonly<Record<string, readonly Mend[]>> = {
  connection: [
    [
      "if (terminated)\n      return queryError(q, Errors.connection('CONNECTION_DESTROYED', options))\n\n    if (stream)",
      "if (terminated)\n      return queryError(q, Errors.connection('CONNECTION_DESTROYED', options))\n\n    " +
        // True: the connection stays among those that are closed, and is opened anew for whoever comes next.
        "if (socket === null) return queryError(q, Errors.connection('CONNECTION_CLOSED', options)), true\n\n    if (stream)",
    ],
    [
      'clearImmediate(nextWriteTimer)\n    socket.removeListener',
      'clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n    socket.removeListener',
    ],
    [
      'socket = null\n\n    if (initial)\n      return reconnect()\n\n    ' +
        "!hadError && (query || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))",
      "socket = null\n\n    const gone = Errors.connection('CONNECTION_CLOSED', options)\n    " +
        'stream && (stream.destroy(gone), stream = null)\n    query && queryError(query, gone)\n    ' +
        'while (sent.length) queryError(sent.shift(), gone)\n    query = results = errorResponse = null\n    ' +
        'result = new Result()\n\n    if (initial)\n      return reconnect()',
    ],
    [
      "x.on('drain', drain)\n    return x",
      "x.on('drain', drain)\n    const shown = options.shared.connections ??= new Map()\n    " +
        // A cursor or a stream that is silent may be waiting for its own reader.
        'const isWaiting = () => !stream && !query?.cursorFn && (!!query || sent.length > 0)\n    ' +
        'shown.set(id, { socket: x, pid: () => backend.pid, isWaiting })\n    return x',
    ],
    // Nobody waits for this promise; the next connection asks again.
    ['`], [], execute)\n    types.forEach', '`], [], execute).catch(() => [])\n    types.forEach'],
  ],
  index: [
    ['let savepoints = 0\n      , connection\n', 'let savepoints = 0\n      , dead = null\n      , connection\n'],
    [
      'new Promise((_, reject) => connection.onclose = reject)',
      'new Promise((_, reject) => connection.onclose = e => ' +
        '{ dead = e; while (queries.length) queries.shift().reject(e); reject(e) })',
    ],
    [
      'q.catch(e => uncaughtError || (uncaughtError = e))\n        c.queue === full',
      'q.catch(e => uncaughtError || (uncaughtError = e))\n        if (dead) return q.reject(dead)\n        c.queue === full',
    ],
  ],
}

/** The source of one of the driver's files with every mend, or unchanged where one of them has no place in it. */
export function mendDriver(file: string, source: string): string {
  const mends = MENDS[file] ?? []
  if (!mends.every(([found]) => source.split(found).length === 2)) return source
  return mends.reduce((text, [found, mended]) => text.replace(found, mended), source)
}

/** Of a pool of the mended driver; of another one, none. */
export function poolConnections(sql: Sql): Iterable<PoolConnection> {
  const { shared } = sql.options as unknown as { readonly shared: { connections?: Map<number, PoolConnection> } }
  return shared.connections?.values() ?? []
}

/** Mends what `load` brings in, if that is the driver, and nothing that comes after. */
export async function loadMended<T>(load: () => Promise<T>): Promise<T> {
  const hooks = registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const file = FILE.exec(url)?.[1]
      if (file === undefined || !loaded.source) return loaded
      return { ...loaded, source: mendDriver(file, textOf(loaded.source)) }
    },
  })
  try {
    return await load()
  } finally {
    hooks.deregister()
  }
}

function textOf(source: string | ArrayBuffer | NodeJS.TypedArray): string {
  return typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString('utf8')
}
