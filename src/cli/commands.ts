/** Every command, once: dispatch, help and the generated reference read this table. Code is loaded when it is called. */
import type { CliIo } from './io.ts'

export interface Command {
  readonly name: string
  /** After `trackops `. */
  readonly usage: string
  /** One line. The command's own --help says the rest. */
  readonly summary: string
  readonly load: () => Promise<(argv: string[], io: CliIo) => Promise<number>>
}

export const COMMANDS: readonly Command[] = [
  {
    name: 'up',
    usage: 'up [--data DIR] [--reset] [--seed N]',
    summary: 'run the whole system on this machine, with embedded servers',
    load: async () => (await import('./up.ts')).up,
  },
  {
    name: 'run',
    usage: 'run ROLE...',
    summary: 'run some roles against given servers',
    load: async () => (await import('./run.ts')).run,
  },
  {
    name: 'preflight',
    usage: 'preflight [--json]',
    summary: 'check databases and Redis: finding, consequence, what mends it',
    load: async () => (await import('./preflight.ts')).preflight,
  },
  {
    name: 'status',
    usage: 'status [--json]',
    summary: 'positions, lag, slot, hit rate, dead letters',
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'verify',
    usage: 'verify [--json] [--watch]',
    summary: 'compare every cached key with the database',
    load: async () => (await import('./verify.ts')).verify,
  },
  {
    name: 'inspect',
    usage: 'inspect KEY',
    summary: 'a cached value with its version, TTL, lease, fence, and the row beside it',
    load: async () => (await import('./inspect.ts')).inspect,
  },
  {
    name: 'forget',
    usage: 'forget [VIEW]',
    summary: "drop a view's keys; they are filled or warmed anew",
    load: async () => (await import('./forget.ts')).forget,
  },
  {
    name: 'tail',
    usage: 'tail [--database-url URL] [--set NAME=VALUE]...',
    summary: 'print the changes of any database as Debezium would',
    load: async () => (await import('./tail.ts')).tail,
  },
  {
    name: 'dlq',
    usage: 'dlq list | show ID | replay ID|--all',
    summary: 'look at dead letters, and try them again',
    load: async () => (await import('./dlq.ts')).dlq,
  },
  {
    name: 'load',
    usage: 'load [--rate N] [--seconds N] [--keys zipf|uniform]',
    summary: 'realistic traffic through the services; counts stale reads',
    load: async () => (await import('./load.ts')).load,
  },
  {
    name: 'test',
    usage: 'test [--full] [FILTER...]',
    summary: 'run every test',
    load: async () => (await import('./run-tests.ts')).runTests,
  },
  {
    name: 'stack',
    usage: 'stack up | down | status',
    summary: 'Kafka, Connect and Debezium on this machine, without Docker',
    load: async () => (await import('./stack.ts')).stack,
  },
  {
    name: 'connector',
    usage: 'connector [--register URL]',
    summary: 'the Debezium connector that fits this system: print it, or install it',
    load: async () => (await import('./connector.ts')).connector,
  },
]
