import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import type { CacheReader } from '../../src/index.ts'
import { defer, type TestScope } from '../../test/support/defer.ts'
import { testOrders } from '../test-support/order-system.ts'
import { createLatencyHistogram } from './latency-histogram.ts'
import { load } from './load.ts'
import { DEFAULT_LOAD, orderServiceUrl, parseLoadOptions } from './load-options.ts'
import { createLoadStatistics, formatSummary } from './load-statistics.ts'
import { uniform, zipf } from './popularity.ts'
import { createStalenessCheck } from './staleness.ts'
import { chooseOperation, nextStep } from './workload.ts'

async function run(argv: string[], env: Record<string, string> = {}, signal = new AbortController().signal) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const [out, err] = [text(stdout), text(stderr)]
  const status = await load(argv, { stdout, stderr, env, signal })
  stdout.end()
  stderr.end()
  return { status, out: await out, err: await err }
}

/** The order service on a port; `wrap` may make its cache lie. */
async function service(
  t: TestScope,
  wrap: (cache: CacheReader) => void = () => undefined,
): Promise<Record<string, string>> {
  const { app, cache } = await testOrders(t)
  wrap(cache)
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  defer(t, () => app.close())
  return { TRACKOPS_ORDER_URL: address }
}

describe('a run', () => {
  test('against services that are right ends with a summary and 0', async (t) => {
    const { status, out, err } = await run(['--rate', '150', '--seconds', '1'], await service(t))
    assert.deepEqual([status, err], [0, ''], out)
    const [, answers] = /^(\d+) answers in .*errors 0 {2}stale reads 0\n$/m.exec(out) ?? []
    assert.ok(Number(answers) > 100, out)
  })

  test('sees reads that go back, and then ends with 1', async (t) => {
    const env = await service(t, (cache) => {
      const get = cache.get.bind(cache)
      const first = new Map<string, Awaited<ReturnType<typeof get>>>()
      // Answers what it answered the first time, for ever: the cache that nobody invalidates.
      cache.get = async (view, key, options) => {
        const name = `${view.name} ${key.id}`
        const read = first.get(name) ?? (await get(view, key, options))
        first.set(name, read)
        return read
      }
    })
    // Cancellations are the writes that it cannot show.
    const { status, out } = await run(['--rate', '300', '--seconds', '3', '--keys', 'uniform'], env)
    assert.equal(status, 1, out)
    assert.doesNotMatch(out, /stale reads 0\n/)
  })

  test('is stopped by its signal', async (t) => {
    const stop = new AbortController()
    const env = await service(t)
    const running = run(['--rate', '50', '--seconds', '0'], env, stop.signal)
    stop.abort()
    assert.ok([0, 1].includes((await running).status))
  })

  test('without a service says what to do', async () => {
    const { status, err } = await run([], { TRACKOPS_ORDER_URL: 'http://127.0.0.1:1' })
    assert.equal(status, 1)
    assert.match(err, /does not answer at http:\/\/127\.0\.0\.1:1: start it with trackops up/)
  })

  test('bad usage is 2 and one line, help is 0', async () => {
    for (const argv of [
      ['--rate', '0'],
      ['--rate', 'fast'],
      ['--seconds', '-1'],
      ['--keys', 'all'],
      ['--what'],
      ['x'],
    ]) {
      const { status, out, err } = await run(argv)
      assert.deepEqual([status, out], [2, ''], argv.join(' '))
      assert.match(err, /^trackops load: .*\n$/)
    }
    const { status, out } = await run(['--help'])
    assert.equal(status, 0)
    for (const option of ['--rate', '--seconds', '--keys']) assert.ok(out.includes(option))
  })
})

test('options have their defaults, and the service its place', () => {
  assert.deepEqual(parseLoadOptions([]), DEFAULT_LOAD)
  const given = parseLoadOptions(['--rate=5', '--seconds', '0', '--keys', 'uniform'])
  assert.deepEqual(given, { ratePerSecond: 5, seconds: 0, keys: 'uniform' })
  assert.equal(orderServiceUrl({}).href, 'http://127.0.0.1:8081/')
  assert.equal(orderServiceUrl({ TRACKOPS_ORDER_PORT: '9000' }).port, '9000')
  assert.throws(() => orderServiceUrl({ TRACKOPS_ORDER_PORT: 'x' }), { code: 'CONFIG_INVALID' })
})

test('popularity gives one of those that there are; zipf the first of 1000 about 10 % of the time', () => {
  const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), share, (size, random) => {
      for (const popularity of [uniform, zipf]) {
        const index = popularity(size, random)
        assert.ok(Number.isInteger(index) && index >= 0 && index < size, String(index))
      }
    }),
  )
  const draws = Array.from({ length: 10_000 }, (_, index) => zipf(1_000, index / 10_000))
  const first = draws.filter((index) => index === 0).length / draws.length
  assert.ok(first > 0.09 && first < 0.11, String(first))
})

test('quantiles are within 5 % of the exact ones', () => {
  const latencies = fc.array(fc.double({ min: 0.01, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(latencies, fc.constantFrom(0.01, 0.5, 0.99, 1), (values, share) => {
      const histogram = createLatencyHistogram()
      for (const value of values) histogram.record(value)
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? Number.NaN
      const ratio = histogram.quantileMs(share) / exact
      assert.ok(ratio > 0.999 && ratio < 1.051, `${ratio} at ${exact}`)
    }),
  )
  assert.ok(Number.isNaN(createLatencyHistogram().quantileMs(0.5)))
})

test('a summary counts answers, hits of cached reads alone, refusals apart from errors', () => {
  const statistics = createLoadStatistics()
  statistics.record({ latencyMs: 2, status: 200, cache: 'hit' })
  statistics.record({ latencyMs: 2, status: 200, cache: 'miss' })
  statistics.record({ latencyMs: 2, status: 201, cache: undefined })
  statistics.record({ latencyMs: 2, status: 409, cache: undefined })
  statistics.record({ latencyMs: 2, status: 503, cache: undefined })
  statistics.record({ latencyMs: 20_000, status: undefined, cache: undefined })
  statistics.stale()
  const { answered, hitRatio, refused, errors, stale, ratePerSecond } = statistics.summary(2)
  assert.deepEqual([answered, hitRatio, refused, errors, stale, ratePerSecond], [5, 0.5, 1, 2, 1, 2.5])
  assert.match(formatSummary(statistics.summary(2)), /hits 50\.0 % {2}p50 2\.\d ms .* stale reads 1$/)
  assert.match(formatSummary(createLoadStatistics().summary(0)), /^0\/s {2}hits - {2}p50 - /)
})

test('a read is held against what was known when it was sent, not against what came meanwhile', () => {
  const check = createStalenessCheck({ maxKeys: 2 })
  const early = check.before('a')
  assert.equal(check.isStale('a', 5, check.before('a')), false)
  assert.equal(check.isStale('a', 4, early), false)
  assert.equal(check.isStale('a', 4, check.before('a')), true)
  assert.equal(check.isStale('a', 5, check.before('a')), false)
  const [older, newer] = ['2026-01-01T00:00:00.000001Z', '2026-01-01T00:00:00.000002Z']
  assert.equal(check.isStale('b', older, newer), true)
  check.isStale('c', 1, undefined)
  assert.equal(check.before('a'), undefined)
  assert.equal(check.before('c'), 1)
})

test('few known orders mean creating; later every operation has its turn', () => {
  assert.equal(chooseOperation(0, 0.1), 'create')
  const chosen = new Set(Array.from({ length: 1_000 }, (_, index) => chooseOperation(100, index / 1_000)))
  assert.deepEqual([...chosen], ['read order', 'read status', 'read list', 'create', 'advance', 'cancel'])
  assert.equal(nextStep('PENDING'), undefined)
})
