import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runPart } from './run-part.ts'

test('a part that does not end well is an error that says which, and no figures', async () => {
  await assert.rejects(
    runPart(['nothing', '--rounds', '0'], () => undefined),
    /^Error: nothing --rounds 0 ended with 2/,
  )
})

test("a part's last line is its figures, those before are passed on", async () => {
  const printed: string[] = []
  assert.deepEqual(await runPart(['memory', '--rows', '7', '--rounds', '0'], (line) => printed.push(line)), {
    rows: 7,
    rounds: [],
  })
  assert.equal(printed.length, 1)
  assert.match(printed[0] ?? '', /^memory: Node v/)
})
