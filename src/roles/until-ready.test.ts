import assert from 'node:assert/strict'
import { test } from 'node:test'

import { tellReasons } from './until-ready.ts'
import { defer } from '../../test/support/defer.ts'
import { upSite } from '../../test/support/process.ts'
import { waitFor } from '../../test/support/wait-for.ts'

test('what a system waits for is said once, when it begins and when it goes on', async (t) => {
  const stop = new AbortController()
  defer(t, () => Promise.resolve(stop.abort()))
  const lines: string[] = []
  let reason: string | null = null
  let looks = 0
  void tellReasons({ reason: () => (looks++, reason) }, (line) => lines.push(line), stop.signal, 1)

  const lookedAgain = async (): Promise<void> => {
    const before = looks
    await waitFor(() => looks > before + 1, { what: 'two more looks' })
  }
  await lookedAgain()
  assert.deepEqual(lines, [])
  reason = 'the slot is busy'
  await lookedAgain()
  await lookedAgain()
  assert.deepEqual(lines, ['the slot is busy'])
  reason = null
  await lookedAgain()
  assert.deepEqual(lines, ['the slot is busy', 'running again'])
})

test('an up that cannot become ready says what keeps it, before it is ready', async (t) => {
  const [first, second] = [await upSite(t), await upSite(t)]
  await first.up().ready()
  // The same database, whose slot the first one reads.
  const waiting = second.up({ DATABASE_URL: first.urls.source })
  await waitFor(() => waiting.stderr().includes('says what it waits for'), {
    what: 'the line that says where to look',
    timeoutMs: 60_000,
  })
  assert.equal(waiting.stdout(), '')
  assert.equal((await waiting.end('SIGTERM')).exitCode, 0)
})
