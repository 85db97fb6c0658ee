import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { createClient } from '@redis/client'

import { defer } from '../support/defer.ts'
import { freePort } from '../support/free-port.ts'
import { testPostgres } from '../support/postgres.ts'
import { testRedis } from '../support/redis.ts'
import { makeTestDirectory, removeTestDirectory } from '../support/test-directory.ts'
import { waitFor } from '../support/wait-for.ts'
import { type Block, blocksOf, isAsShown, readPage, ROOT, type Step, stepsOf } from './page.ts'
import { createShell, type Shell } from './shell.ts'

const PAGE = 'docs/guides/your-own-schema.md'

test("the guide for a stranger's schema does what it says, word by word", async (t) => {
  const blocks = blocksOf(readPage(PAGE))
  const directory = makeTestDirectory('guide')
  defer(t, () => removeTestDirectory(directory))
  const { sql, url } = await testPostgres(t)
  const redisServer = await testRedis(t)
  const redis = createClient({ url: redisServer.url, RESP: 2 })
  redis.on('error', () => undefined)
  await redis.connect()
  defer(t, async () => redis.destroy())
  const ports = new Map([
    ['8090', String(await freePort())],
    ['8080', String(await freePort())],
  ])
  const shell = createShell(t, {
    sql,
    redis,
    directory,
    ports,
    env: {
      TRACKOPS_CONFIG: 'trackops.config.ts',
      DATABASE_URL: url,
      REDIS_URL: redisServer.url,
      LIBRARY_PORT: ports.get('8090') ?? '',
      TRACKOPS_CONSOLE_PORT: ports.get('8080') ?? '',
    },
  })

  linkPackage(directory)
  writeFileSync(join(directory, 'package.json'), '{"private": true, "type": "module"}\n')
  for (const { attributes, text } of blocks) {
    if (attributes['file'] !== undefined) writeFileSync(join(directory, attributes['file']), text)
  }
  await assertTypes(directory)
  for (const block of blocks) {
    if (block.language === 'sql' && 'run' in block.attributes) await sql.unsafe(block.text)
    if (block.language === 'console') for (const step of stepsOf(block)) await play(shell, block, step)
  }
  assert.ok(blocks.filter(({ language }) => language === 'console').length > 5, 'the page has its commands')
})

/** What `npm install ../track-ops` makes. */
function linkPackage(directory: string): void {
  mkdirSync(join(directory, 'node_modules'))
  symlinkSync(ROOT, join(directory, 'node_modules', 'trackops'))
}

async function assertTypes(directory: string): Promise<void> {
  const compiler = join(ROOT, 'node_modules/.bin/tsc')
  const types = join(ROOT, 'node_modules/@types')
  const said = await promisify(execFile)(compiler, ['-p', directory, '--typeRoots', types, '--types', 'node']).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => error.stdout ?? 'tsc could not be run',
  )
  assert.equal(said, '')
}

async function play(shell: Shell, block: Block, step: Step): Promise<void> {
  const what = `${PAGE}:${step.line} ${step.command}`
  if (step.command.startsWith('trackops run ')) {
    const started = shell.start(step.command)
    await waitFor(() => started.output(), {
      what,
      timeoutMs: 60_000,
      until: (output) => isAsShown(step.expected, output),
    })
    return
  }
  // What a change means for the cache comes a moment later; reading again is no change.
  const isRead = /^redis-cli |^curl -s http|^psql .*"select/.test(step.command)
  if (isRead) {
    await waitFor(async () => (await shell.run(step.command)).output, {
      what,
      until: (output) => isAsShown(step.expected, output),
    })
    return
  }
  const { output, exitCode } = await shell.run(step.command)
  assert.ok(isAsShown(step.expected, output), `${what}: shown is\n${step.expected.join('\n')}\nbut it was\n${output}`)
  assert.equal(exitCode, Number(block.attributes['exit'] ?? 0), what)
}
