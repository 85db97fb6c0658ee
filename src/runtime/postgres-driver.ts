/**
 * postgres.js, mended where it is loaded. Of 3.4.9 (github.com/porsager/postgres issues 1154, 1208, not mended there yet): small
 * writes wait for the end of the turn, and a connection that closes meanwhile
 *
 * - makes that write fail on a socket that is gone, outside of any promise: the process ends. It is what `sql.begin` does with its
 *   rollback whenever a server dies within a transaction;
 * - or keeps what was to be written and the mark that somebody will: then nothing is ever sent on the next connection in this place, and
 *   each such place of the pool is lost for good.
 *
 * The queries themselves have been rejected by then, so what is not written is nothing lost. A version whose text is another is loaded as
 * it is; postgres-driver.test.ts says so.
 */
import { registerHooks } from 'node:module'

const FILE = /\/postgres\/(?:cjs\/)?src\/connection\.js$/

const MENDS: readonly (readonly [found: string, mended: string])[] = [
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
]

/** The source with every mend, or unchanged where one of them has no place in it. */
export function mendDriver(source: string): string {
  if (!MENDS.every(([found]) => source.split(found).length === 2)) return source
  return MENDS.reduce((text, [found, mended]) => text.replace(found, mended), source)
}

/** Mends what `load` brings in, if that is the driver, and nothing that comes after. */
export async function loadMended<T>(load: () => Promise<T>): Promise<T> {
  const hooks = registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (!FILE.test(url) || !loaded.source) return loaded
      return { ...loaded, source: mendDriver(textOf(loaded.source)) }
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
