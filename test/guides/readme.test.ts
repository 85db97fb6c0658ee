import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testSystem } from '../support/system.ts'
import { waitFor } from '../support/wait-for.ts'
import { blocksOf, isAsShown, readPage, ROOT, stepsOf } from './page.ts'
import { createShell } from './shell.ts'

/** What differs from run to run, where the README shows one run. */
const VOLATILE: readonly RegExp[] = [
  /"_v":"[^"]*"/g,
  /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g,
  /(?<=x-freshness-token: )\d+-[0-9A-F]{16}/g,
  /(?<=at LSN )\S+ \(xid \d+\), code [0-9a-f]{8}/g,
  /(?<=^2\|ORDER_CREATED:).*$/gm,
  /(?<=^TTL +)\d+/gm,
]

test("the README's tour gives what it shows", async (t) => {
  const system = await testSystem(t)
  const portOf = (url: string): string => new URL(url).port
  const shell = createShell(t, {
    sql: system.sql,
    redis: system.redis,
    directory: ROOT,
    ports: new Map([
      ['8081', portOf(system.orderUrl)],
      ['8080', portOf(system.consoleUrl)],
    ]),
    env: {
      DATABASE_URL: system.urls.source,
      INVENTORY_DATABASE_URL: system.urls.databases['inventory'] ?? '',
      REDIS_URL: system.urls.redis,
    },
  })
  const page = readPage('README.md')
  const tour = page.slice(page.indexOf('\n## A tour'), page.indexOf('\n## What is guaranteed'))
  const steps = blocksOf(tour)
    .filter(({ language }) => language === 'console')
    .flatMap(stepsOf)
  assert.ok(steps.length > 10)
  for (const { command, expected } of steps) {
    const shown = stable(expected.join('\n')).split('\n')
    // Reading again is no change, and what a change means for the cache comes a moment later.
    const isRead = /^(redis-cli|\.\/trackops|curl -si http|psql .*"select)/.test(command)
    await waitFor(async () => stable((await shell.run(command)).output), {
      what: command,
      timeoutMs: isRead ? 15_000 : 0,
      until: (output) => isAsShown(shown, output),
    })
  }
})

function stable(text: string): string {
  return VOLATILE.reduce((changed, pattern) => changed.replaceAll(pattern, '~'), text)
}
