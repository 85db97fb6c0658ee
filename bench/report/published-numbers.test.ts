import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { benchmarksPage, PAGE } from './page.ts'
import { PUBLISHED } from './published.ts'
import { numbersIn, readmeNumbers, withNumbers } from './readme-numbers.ts'
import { resultOf } from './result-fixture.ts'
import { newestResult, resultFile, RESULTS_FOLDER } from './result.ts'

const ROOT = join(import.meta.dirname, '../..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

test('what is published is what the script makes of the newest stored result: npm run bench -- readme writes it', () => {
  const newest = newestResult()
  const published = numbersIn(README)
  // Before the first stored result the numbers are a person's, and name none.
  const [named] = new RegExp(`${RegExp.escape(RESULTS_FOLDER)}/[^\\])\\s]+`).exec(published) ?? []
  assert.equal(named, newest && resultFile(newest))
  assert.equal(existsSync(join(ROOT, PAGE)), newest !== undefined)
  if (!newest) return
  assert.equal(published, readmeNumbers(newest))
  assert.equal(readFileSync(join(ROOT, PAGE), 'utf8'), benchmarksPage(newest))
})

test("a result's numbers take the place between the README's markers, and nothing else changes", () => {
  const numbers = readmeNumbers(resultOf())
  const page = withNumbers(README, numbers)
  assert.equal(numbersIn(page), numbers)
  assert.equal(withNumbers(page, numbersIn(README)), README)
  assert.throws(() => withNumbers('a page', numbers), /has no <!-- numbers -->/)
})

test('the README tells medians and spread, what was not reached, and that the aim was missed', () => {
  const numbers = readmeNumbers(resultOf())
  assert.match(numbers, /^Measured on 2001-02-03 on 2 x Abacus/)
  assert.ok(numbers.includes(resultFile(resultOf())))
  assert.match(numbers, /8 \(4 to 12\) s; 1\.5 \(1 to 2\) s/)
  assert.match(numbers, /5,000 commits\/s asked for, 3,000 reached/)
  assert.match(numbers, /The aim was to be no slower, and is missed: TrackOps takes 5 times as long/)
  assert.match(numbers, /on Debezium and Kafka, 100 commits\/s/)
  assert.match(numbers, /10,000\/s; 20,000\/s; 2,000\/s/)
  assert.match(numbers, /500 MiB; 200 MiB/)
  assert.match(numbers, /in one process: TrackOps; rival, simple \| 1,000; 3,000 \|/)
})

test('without Java or pg_recvlogical the numbers say nothing of them but that they were not there', () => {
  const { figures } = resultOf()
  const { distributedLatency: _latency, rivals: _rivals, ...embedded } = figures
  const rounds = figures.drain.rounds.map((round) => ({ ...round, rivalSeconds: null }))
  const result = resultOf({ figures: { ...embedded, drain: { changes: 1_000, rounds } } })
  const numbers = readmeNumbers(result)
  assert.match(numbers, /`pg_recvlogical` was not installed/)
  for (const text of [numbers, benchmarksPage(result)])
    assert.doesNotMatch(text, /NaN|undefined|[Oo]n Debezium and Kafka/)
})

test('the page of all benchmarks has every part with its command, and says that the figures of others are no comparison', () => {
  const page = benchmarksPage(resultOf())
  assert.doesNotMatch(page, /NaN|undefined/)
  for (const heading of ['A backlog', 'From commit to key', 'Cached reads', 'Memory', 'Beside three', 'The ratios'])
    assert.ok(page.includes(`\n## ${heading}`), heading)
  assert.ok(page.includes('`npm run bench -- drain --rounds 2`'))
  assert.match(page, /Other machines, other work/)
  for (const { system, source, setUp } of PUBLISHED) assert.ok(page.includes(`| ${system} |`) && source && setUp)
})
