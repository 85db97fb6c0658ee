import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { callRedis, isErrorReply, type RedisConnection } from './redis-call.ts'

const NAMES = ['apply', 'lease', 'settle', 'reposition', 'raise-view-fence', 'remove-not-after'] as const
export type ScriptName = (typeof NAMES)[number]

export interface Scripts {
  /** Puts every script into Redis's cache, so that pipelined calls need no second try, which could change their order. */
  load(): Promise<void>
  /** By hash; after a restart or a failover of Redis the script is loaded again, once for each call that missed it. */
  run(name: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown>
}

/** The scripts of `lua/`, each with `lua/versions.lua` before it. */
export function createScripts(redis: RedisConnection, timeoutMs: number): Scripts {
  const read = (name: string): string => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
  const prelude = read('versions')
  const scripts = new Map(
    NAMES.map((name) => {
      const text = `${prelude}\n${read(name)}`
      return [name, { text, sha: createHash('sha1').update(text).digest('hex') }]
    }),
  )

  const scriptOf = (name: ScriptName): { text: string; sha: string } => {
    const script = scripts.get(name)
    if (!script) throw new Error(`no script ${name}`)
    return script
  }

  return {
    async load() {
      await Promise.all(NAMES.map((name) => callRedis(redis, ['SCRIPT', 'LOAD', scriptOf(name).text], timeoutMs)))
    },
    async run(name, keys, args) {
      const { text, sha } = scriptOf(name)
      const command = ['EVALSHA', sha, String(keys.length), ...keys, ...args]
      try {
        return await callRedis(redis, command, timeoutMs)
      } catch (error) {
        if (!isErrorReply(error, 'NOSCRIPT')) throw error
        await callRedis(redis, ['SCRIPT', 'LOAD', text], timeoutMs)
        return await callRedis(redis, command, timeoutMs)
      }
    },
  }
}
