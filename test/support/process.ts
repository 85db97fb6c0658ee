/** The system as a process of its own: `trackops up` on ports and a data directory of the test, to be killed and started again. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { removeCluster } from '../../src/roles/embedded/postgres-cluster.ts'
import { stopRedisOrphan } from '../../src/roles/embedded/redis-server.ts'
import { defer, type TestScope } from './defer.ts'
import { freePort } from './free-port.ts'
import { makeTestDirectory, removeTestDirectory } from './test-directory.ts'
import type { JudgedSystem } from './verdict.ts'

const ROOT = join(import.meta.dirname, '../..')
const READY_TIMEOUT_MS = 120_000

export interface Ended {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliProcess {
  readonly pid: number
  readonly ended: Promise<Ended>
  /** What it has written so far. */
  stdout(): string
  stderr(): string
  /** Resolves with `trackops is ready`. @throws if it ends before, or takes longer than two minutes */
  ready(): Promise<void>
  /** Sends the signal, to its process group if asked, and waits for the end. */
  end(signal: NodeJS.Signals, options?: { readonly toGroup?: boolean }): Promise<Ended>
}

/** Killed when the test is over. */
export function startCli(scope: TestScope, args: readonly string[], env: Readonly<Record<string, string>>): CliProcess {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(ROOT, 'src/cli/main.ts'), ...args],
    { cwd: ROOT, detached: true, env: { ...cleanEnvironment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let stdout = ''
  let stderr = ''
  let tellReady: (() => void) | undefined
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (stdout.includes('trackops is ready')) tellReady?.()
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  let hasEnded = false
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, signal) => {
      hasEnded = true
      resolve({ exitCode, signal, stdout, stderr })
    })
  })
  const pid = child.pid ?? -1
  const end = async (signal: NodeJS.Signals, toGroup = false): Promise<Ended> => {
    if (!hasEnded) process.kill(toGroup ? -pid : pid, signal)
    return await ended
  }
  defer(scope, async () => await end('SIGKILL'))
  return {
    pid,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    async ready() {
      const isReady = new Promise<void>((resolve) => {
        tellReady = resolve
        if (stdout.includes('trackops is ready')) resolve()
      })
      let bound: NodeJS.Timeout | undefined
      await Promise.race([
        isReady,
        ended.then(() => Promise.reject(new Error(`it ended before it was ready: ${stderr || stdout}`))),
        new Promise((_, reject) => {
          bound = setTimeout(() => reject(new Error(`not ready in time: ${stdout}${stderr}`)), READY_TIMEOUT_MS)
        }),
      ])
      clearTimeout(bound)
    },
    end: (signal, options) => end(signal, options?.toGroup),
  }
}

/** Runs a command to its end. */
export async function runCli(
  scope: TestScope,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return await startCli(scope, args, env).ended
}

export interface UpSite extends JudgedSystem {
  readonly dataDirectory: string
  readonly env: Readonly<Record<string, string>>
  readonly orderUrl: string
  readonly inventoryUrl: string
  readonly inventoryDatabaseUrl: string
  readonly postgresPort: number
  readonly redisPort: number
  /** `trackops up`, not yet ready. */
  up(env?: Readonly<Record<string, string>>): CliProcess
}

/** A data directory and ports; what runs there when the test is over is stopped, and the directory removed. */
export async function upSite(scope: TestScope): Promise<UpSite> {
  const dataDirectory = makeTestDirectory('up')
  chmodSync(dataDirectory, 0o755)
  defer(scope, async () => {
    await removeCluster(dataDirectory)
    await stopRedisOrphan(join(dataDirectory, 'redis'))
    removeTestDirectory(dataDirectory)
  })
  const [postgres, redis, order, inventory, console_] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const env = {
    TRACKOPS_POSTGRES_PORT: String(postgres),
    TRACKOPS_REDIS_PORT: String(redis),
    TRACKOPS_ORDER_PORT: String(order),
    TRACKOPS_INVENTORY_PORT: String(inventory),
    TRACKOPS_CONSOLE_PORT: String(console_),
    TRACKOPS_LOG_LEVEL: 'info',
  }
  const server = `postgres://postgres:postgres@127.0.0.1:${postgres}`
  return {
    dataDirectory,
    env,
    postgresPort: postgres,
    redisPort: redis,
    orderUrl: `http://127.0.0.1:${order}`,
    inventoryUrl: `http://127.0.0.1:${inventory}`,
    consoleUrl: `http://127.0.0.1:${console_}`,
    inventoryDatabaseUrl: `${server}/trackops_inventory`,
    urls: {
      source: `${server}/trackops_orders`,
      redis: `redis://127.0.0.1:${redis}/0`,
      databases: { inventory: `${server}/trackops_inventory` },
    },
    up: (more = {}) => startCli(scope, ['up', '--data', dataDirectory], { ...env, ...more }),
  }
}

/** Processes that this one has started, and theirs. */
export async function descendantsOf(pid: number): Promise<readonly number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  const children = Map.groupBy(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number)),
    ([, parent]) => parent,
  )
  const found: number[] = []
  const visit = (parent: number): void => {
    for (const [child] of children.get(parent) ?? []) {
      if (child === undefined) continue
      found.push(child)
      visit(child)
    }
  }
  visit(pid)
  return found
}

/** The machine's settings must not reach into a test. */
function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(TRACKOPS_|DATABASE_URL|INVENTORY_DATABASE_URL|REDIS_|KAFKA_|NODE_TEST_CONTEXT|NODE_OPTIONS)/.test(name),
  )
  return Object.fromEntries(kept) as Record<string, string>
}
