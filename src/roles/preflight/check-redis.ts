import { callRedis } from '../../cache/redis-call.ts'
import type { Check, Finding, RedisContext } from './finding.ts'

/** Redis: version, what it evicts, whether it survives a restart, whether it can be written and runs scripts. */
export const checkRedis: Check<RedisContext> = {
  name: 'redis',
  async run({ redis, timeoutMs }) {
    const info = parseInfo(await callRedis(redis, ['INFO'], timeoutMs))
    return judgeRedis({
      info,
      save: await saveSetting({ redis, timeoutMs }),
      runsScripts: await runsScripts({ redis, timeoutMs }),
    })
  },
}

export interface RedisFacts {
  /** `INFO`, by its own names. */
  readonly info: ReadonlyMap<string, string>
  /** null: CONFIG is not allowed here, as with many providers. */
  readonly save: string | null
  readonly runsScripts: boolean
}

const FULL_RATIO = 0.9

/** Pure. */
export function judgeRedis({ info, save, runsScripts: canScript }: RedisFacts): readonly Finding[] {
  const findings: Finding[] = []
  const add = (severity: Finding['severity'], id: string, finding: string, consequence: string, mend: string): void =>
    void findings.push({ id, severity, finding, consequence, mend })
  const of = (name: string): string => info.get(name) ?? ''

  const version = of('redis_version')
  if (isOlder(version, 6, 2))
    add(
      'error',
      'redis-version',
      `Redis ${version || 'of unknown version'}; TrackOps needs 6.2 or later`,
      'Scripts use what this version lacks.',
      'Upgrade Redis, or use Valkey.',
    )
  if (of('role') !== '' && of('role') !== 'master')
    add(
      'error',
      'redis-replica',
      `REDIS_URL is a replica (of ${of('master_host')}:${of('master_port')}), which cannot be written`,
      'Consumers stand still and the cache is neither kept nor filled.',
      'Set REDIS_URL to the primary.',
    )
  if (of('cluster_enabled') === '1')
    add(
      'error',
      'redis-cluster',
      'Redis runs as a cluster',
      "A batch's keys and its position have to change in one atomic call, and a cluster's slots do not share one.",
      'Set REDIS_URL to a Redis that is not clustered; replicas are welcome.',
    )
  if (!canScript)
    add(
      'error',
      'redis-scripting',
      'Redis does not run scripts for this user',
      'Nothing can be written: every change and every fill is one script call.',
      'Allow it: ACL SETUSER name +@scripting +@keyspace +@read +@write',
    )
  findings.push(...judgeMemory(info), ...judgePersistence(info, save))
  return findings
}

function judgeMemory(info: ReadonlyMap<string, string>): readonly Finding[] {
  const findings: Finding[] = []
  const policy = info.get('maxmemory_policy') ?? ''
  if (policy.startsWith('allkeys-'))
    findings.push({
      id: 'redis-evicts-fences',
      severity: 'error',
      finding: `maxmemory-policy is ${policy}: Redis may evict fences and positions`,
      consequence:
        'Without its fence an old value can come back, and stay (P1, P3); without its position a consumer forgets the cache.',
      mend: 'redis-cli config set maxmemory-policy noeviction (and in redis.conf); or give TrackOps a Redis of its own',
    })
  else if (policy.startsWith('volatile-'))
    findings.push({
      id: 'redis-evicts-marks',
      severity: 'warning',
      finding: `maxmemory-policy is ${policy}: Redis may evict marks before their time`,
      consequence:
        'When memory is short, a reader can for a moment be answered older than before (P2). Nothing stays stale.',
      mend: 'redis-cli config set maxmemory-policy noeviction (and in redis.conf)',
    })
  const used = Number(info.get('used_memory') ?? 0)
  const limit = Number(info.get('maxmemory') ?? 0)
  if (limit > 0 && used > limit * FULL_RATIO)
    findings.push({
      id: 'redis-nearly-full',
      severity: 'warning',
      finding: `Redis uses ${Math.round((100 * used) / limit)} % of maxmemory`,
      consequence: 'When it is full it refuses writes: consumers pause, and the slot retains WAL meanwhile.',
      mend: 'redis-cli config set maxmemory <more>, or shorten the TTLs of views',
    })
  return findings
}

function judgePersistence(info: ReadonlyMap<string, string>, save: string | null): readonly Finding[] {
  const hasLog = info.get('aof_enabled') === '1'
  const findings: Finding[] = []
  if (!hasLog && (save === null || save === ''))
    findings.push({
      id: 'redis-without-persistence',
      severity: 'warning',
      finding:
        save === null
          ? 'Redis has no append-only file, and does not say whether it saves snapshots'
          : 'Redis keeps nothing on disk (appendonly no, save "")',
      consequence:
        'A restart loses cache and positions: it is filled and warmed anew, and the database bears the load meanwhile.',
      mend: 'redis-cli config set appendonly yes (and in redis.conf)',
    })
  const failed = [
    ...(hasLog && info.get('aof_last_write_status') === 'err' ? ['the append-only file'] : []),
    ...(save !== '' && info.get('rdb_last_bgsave_status') === 'err' ? ['the snapshot'] : []),
  ]
  if (failed.length > 0)
    findings.push({
      id: 'redis-cannot-persist',
      severity: 'error',
      finding: `Redis could not write ${failed.join(' and ')}`,
      consequence: 'By default it refuses all writes then (MISCONF): consumers stand still.',
      mend: 'Look at its log: usually the disk is full, or its directory is not writable.',
    })
  return findings
}

export function parseInfo(reply: unknown): ReadonlyMap<string, string> {
  const lines = typeof reply === 'string' ? reply.split(/\r?\n/) : []
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const colon = line.indexOf(':')
      return line.startsWith('#') || colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]]
    }),
  )
}

function isOlder(version: string, major: number, minor: number): boolean {
  const [ours = 0, next = 0] = version.split('.').map(Number)
  return ours < major || (ours === major && next < minor)
}

async function saveSetting({ redis, timeoutMs }: RedisContext): Promise<string | null> {
  try {
    const reply = await callRedis(redis, ['CONFIG', 'GET', 'save'], timeoutMs)
    return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : null
  } catch {
    return null
  }
}

async function runsScripts({ redis, timeoutMs }: RedisContext): Promise<boolean> {
  try {
    return (await callRedis(redis, ['EVAL', 'return 1', '0'], timeoutMs)) === 1
  } catch {
    return false
  }
}
