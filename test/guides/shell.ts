/**
 * Runs the commands of a page's `console` blocks. `psql`, `redis-cli` and `curl` are played by drivers, so that a machine without
 * them can run the test; `trackops` is the real command line, in a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'

import type { createClient } from '@redis/client'
import type { Sql } from 'postgres'

import { defer, type TestScope } from '../support/defer.ts'
import { ROOT } from './page.ts'

export interface ShellDeps {
  readonly sql: Sql
  readonly redis: Pick<ReturnType<typeof createClient>, 'sendCommand'>
  /** Working directory of `trackops`. */
  readonly directory: string
  readonly env: Record<string, string>
  /** Ports as the page has them, to those of this run. */
  readonly ports: ReadonlyMap<string, string>
}

export interface Outcome {
  readonly output: string
  readonly exitCode: number
}

export interface Shell {
  run(command: string): Promise<Outcome>
  /** For a command that goes on: what it has printed so far; ended with the test. */
  start(command: string): { output(): string; readonly exited: Promise<number> }
}

export function createShell(scope: TestScope, deps: ShellDeps): Shell {
  const { sql, redis, env } = deps

  async function psql(words: readonly string[]): Promise<string> {
    const separator = words.includes('-Atc') ? '|' : ' | '
    const rows = await sql.unsafe(words.at(-1) ?? '').simple()
    const { command, count } = rows
    if (command === 'SELECT') return rows.map((row) => Object.values(row).map(asText).join(separator)).join('\n')
    if (command === 'INSERT') return `INSERT 0 ${count}`
    return count === null || count === 0 ? command : `${command} ${count}`
  }

  async function redisCli(words: readonly string[]): Promise<string> {
    return asText(await redis.sendCommand(words.slice(/^-[up]$/.test(words[0] ?? '') ? 2 : 0)))
  }

  async function curl(words: readonly string[]): Promise<string> {
    const header = words[words.indexOf('-H') + 1]?.split(': ') ?? []
    const method = words.includes('-X') ? (words[words.indexOf('-X') + 1] ?? 'GET') : 'GET'
    const url = words.at(-1) ?? ''
    const response = await fetch(withPorts(url), {
      method,
      headers: words.includes('-H') ? { [header[0] ?? '']: header[1] ?? '' } : {},
    })
    const token = response.headers.get('x-freshness-token')
    if (token !== null) env['TOKEN'] = token
    const body = await response.text()
    if (!words.includes('-si')) return body
    // The ones of the page first: their order is nobody's promise.
    const own = ['x-cache', 'x-freshness-token'].flatMap((name) => {
      const value = response.headers.get(name)
      return value === null ? [] : [`${name}: ${value}`]
    })
    const others = [...response.headers].filter(([name]) => !name.startsWith('x-')).map((pair) => pair.join(': '))
    return [`HTTP/1.1 ${response.status} ${response.statusText}`, ...own, ...others, body].join('\n')
  }

  function trackops(words: readonly string[]): { child: ChildProcess; output: () => string; exited: Promise<number> } {
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(ROOT, 'src/cli/main.ts'), ...words],
      { cwd: deps.directory, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()))
    const exited = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
    defer(scope, async () => {
      if (child.exitCode === null) child.kill('SIGTERM')
      await exited
    })
    return { child, output: () => asOnPage(output), exited }
  }

  const withPorts = (text: string): string => replaceAll(text, deps.ports)
  const asOnPage = (text: string): string =>
    replaceAll(text, new Map([...deps.ports].map(([page, run]) => [run, page])))

  return {
    async run(command) {
      const [program, ...words] = split(command, env)
      const assignment = /^([A-Z]+)=(.*)$/.exec(program ?? '')
      if (assignment) {
        env[assignment[1] ?? ''] = assignment[2] ?? ''
        return { output: '', exitCode: 0 }
      }
      switch (program) {
        case 'psql':
          return { output: await psql(words), exitCode: 0 }
        case 'redis-cli':
          return { output: await redisCli(words), exitCode: 0 }
        case 'curl':
          return { output: await curl(words), exitCode: 0 }
        case 'trackops':
        case './trackops': {
          const { output, exited } = trackops(words)
          const exitCode = await exited
          return { output: output(), exitCode }
        }
        default:
          throw new Error(`the page uses ${program}, which this test does not know`)
      }
    },

    start(command) {
      const { output, exited } = trackops(split(command, env).slice(1))
      return { output, exited }
    },
  }
}

/** Words as a shell would have them: quotes, and variables outside of single quotes. */
export function split(command: string, env: Readonly<Record<string, string>>): readonly string[] {
  const words = command.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? []
  return words.map((word) =>
    word.replaceAll(/"([^"]*)"|'([^']*)'|([^"']+)/g, (_, double: string, single: string, bare: string) =>
      single === undefined ? withVariables(double ?? bare, env) : single,
    ),
  )
}

function withVariables(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$([A-Z_]+)/g, (whole, name: string) => env[name] ?? whole)
}

function replaceAll(text: string, pairs: ReadonlyMap<string, string>): string {
  let replaced = text
  for (const [from, to] of pairs) replaced = replaced.replaceAll(`:${from}`, `:${to}`)
  return replaced
}

function asText(value: unknown): string {
  if (Array.isArray(value)) return value.map(asText).join('\n')
  if (value === null) return '(nil)'
  if (typeof value === 'string') return value
  return typeof value === 'object' ? jsonText(value as object) : JSON.stringify(value)
}

/** As PostgreSQL writes a jsonb: the driver has parsed it. */
function jsonText(value: object): string {
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${JSON.stringify(member)}`)
  return `{${members.join(', ')}}`
}
