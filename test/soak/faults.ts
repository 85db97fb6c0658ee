/** What a soak does to its system while clients go on. Each fault ends by itself; the system has to recover from it by itself. */
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { pause } from '../../src/runtime/backoff.ts'
import { descendantsOf, type CliProcess, type UpSite } from '../support/process.ts'
import { waitFor } from '../support/wait-for.ts'
import type { SoakContext } from './context.ts'

export interface FaultSite {
  readonly site: UpSite
  readonly soak: SoakContext
  readonly running: () => CliProcess
  /** After it was killed: `trackops up` again, until it is ready. */
  readonly startAgain: () => Promise<void>
  readonly random: () => number
}

export interface SoakFault {
  readonly name: string
  readonly losesRedis: boolean
  /** Without a lost connection. Default false. */
  readonly isQuiet?: boolean
  readonly restartsServices?: boolean
  /** Readers of one process may be cut off from Redis while others are not. Default as `losesRedis`. */
  readonly cutsReaders?: boolean
  /** Nothing for it in the other mode. */
  readonly only?: 'embedded' | 'distributed'
  run(site: FaultSite): Promise<void>
}

export const SOAK_FAULTS: readonly SoakFault[] = [
  {
    name: 'trackops killed',
    losesRedis: true,
    restartsServices: true,
    async run({ running, startAgain }) {
      // Its servers are orphans, which the next one ends before it starts its own.
      await running().end('SIGKILL')
      await startAgain()
    },
  },
  {
    name: 'all processes killed',
    losesRedis: true,
    restartsServices: true,
    async run({ running, startAgain }) {
      const everything = await descendantsOf(running().pid)
      for (const pid of [running().pid, ...everything]) kill(pid)
      await running().ended
      await startAgain()
    },
  },
  {
    name: 'Redis killed',
    losesRedis: true,
    async run({ soak }) {
      const pid = await redisPid(soak)
      kill(pid)
      await waitFor(async () => (await redisPid(soak)) !== pid, { what: 'another Redis' })
    },
  },
  {
    name: 'Redis emptied',
    losesRedis: true,
    isQuiet: true,
    async run({ soak }) {
      await soak.redis.sendCommand(['FLUSHALL'])
    },
  },
  {
    name: 'Redis restored from an older copy',
    losesRedis: true,
    restartsServices: true,
    async run({ site, soak, running, startAgain, random }) {
      const directory = join(site.dataDirectory, 'redis')
      const copy = `${directory}-copy`
      const pid = await redisPid(soak)
      rmSync(copy, { recursive: true, force: true })
      // A moment's state, as a snapshot of the disk would have it.
      process.kill(pid, 'SIGSTOP')
      cpSync(directory, copy, { recursive: true })
      process.kill(pid, 'SIGCONT')
      await pause(random() * 3_000, soak.signal)
      await running().end('SIGKILL')
      kill(await redisPid(soak).catch(() => pid))
      await waitFor(() => !existsSync(`/proc/${pid}`), { what: 'the end of Redis' })
      for (const name of ['appendonlydir', 'dump.rdb']) {
        rmSync(join(directory, name), { recursive: true, force: true })
        if (existsSync(join(copy, name))) cpSync(join(copy, name), join(directory, name), { recursive: true })
      }
      await startAgain()
    },
  },
  {
    name: 'Redis silent',
    losesRedis: false,
    cutsReaders: true,
    async run({ soak, random }) {
      const pid = await redisPid(soak)
      process.kill(pid, 'SIGSTOP')
      try {
        await pause(500 + random() * 3_000, soak.signal)
      } finally {
        process.kill(pid, 'SIGCONT')
      }
    },
  },
  {
    name: 'Redis full',
    losesRedis: false,
    cutsReaders: true,
    async run({ soak, random }) {
      await soak.redis.sendCommand(['CONFIG', 'SET', 'maxmemory', '1'])
      try {
        await pause(500 + random() * 2_000, soak.signal)
      } finally {
        await soak.redis.sendCommand(['CONFIG', 'SET', 'maxmemory', '0'])
      }
    },
  },
  {
    name: 'PostgreSQL killed',
    losesRedis: false,
    async run({ soak }) {
      const pid = await postgresPid(soak)
      kill(pid)
      await waitFor(async () => (await postgresPid(soak)) !== pid, { what: 'another PostgreSQL' })
    },
  },
  {
    name: 'walsender terminated',
    losesRedis: false,
    async run({ soak }) {
      await soak.sql`select pg_terminate_backend(pid) from pg_stat_replication`
    },
  },
  {
    name: 'slot dropped',
    losesRedis: false,
    only: 'embedded',
    async run({ soak }) {
      await waitFor(
        async () => {
          await soak.sql`select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null`
          await soak.sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where not temporary`
          return true
        },
        { what: 'the slot to be free for a moment', intervalMs: 1 },
      )
    },
  },
  {
    name: 'publication dropped',
    losesRedis: false,
    only: 'embedded',
    async run({ soak }) {
      await soak.sql.unsafe('drop publication if exists trackops_orders_pub')
    },
  },
  {
    name: 'long open transaction',
    losesRedis: false,
    async run({ soak, random }) {
      await soak.sql.begin(async (tx) => {
        await tx`select pg_current_xact_id()`
        await pause(1_000 + random() * 3_000, soak.signal)
      })
    },
  },
  {
    name: 'broker killed',
    losesRedis: false,
    only: 'distributed',
    async run({ running }) {
      await killByArgument(running(), 'kafka.Kafka')
    },
  },
  {
    name: 'Kafka Connect killed',
    losesRedis: false,
    only: 'distributed',
    async run({ running }) {
      await killByArgument(running(), 'ConnectDistributed|ConnectStandalone')
    },
  },
]

async function redisPid({ redis }: SoakContext): Promise<number> {
  const info: unknown = await redis.sendCommand(['INFO', 'server'])
  return Number(/^process_id:(\d+)/m.exec(typeof info === 'string' ? info : '')?.[1])
}

async function postgresPid({ sql }: SoakContext): Promise<number> {
  const [row] = await sql<{ pid: string }[]>`select split_part(pg_read_file('postmaster.pid'), chr(10), 1) as pid`
  return Number(row?.pid)
}

async function killByArgument(running: CliProcess, argument: string): Promise<void> {
  for (const pid of await descendantsOf(running.pid)) {
    const line = existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : ''
    if (new RegExp(argument).test(line)) kill(pid)
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has gone with another one.
  }
}
