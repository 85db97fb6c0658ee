/** What people write: configuration, environment, URLs, properties of Debezium. Wrong is refused by name, and never by a crash. */
import assert from 'node:assert/strict'

import fc from 'fast-check'

import { compileViews } from '../../../src/cache/compiled-view.ts'
import { parseDebeziumOptions, PROPERTY_NAMES } from '../../../src/change/debezium/options.ts'
import { kafkaConnectionOf } from '../../../src/roles/kafka-connection.ts'
import { assertConfig } from '../../../src/roles/load-config.ts'
import { createRedisClient } from '../../../src/roles/redis-client.ts'
import { parseDatabaseUrl } from '../../../src/runtime/connection-target.ts'
import { SILENT } from '../../../src/runtime/logger.ts'
import { readSettings, SETTINGS } from '../../../src/runtime/settings.ts'
import config from '../../../trackops.config.ts'
import { type FuzzTarget, refusesOnly } from '../fuzz-target.ts'
import { asBytes, mutatedJson, oddText } from '../mutate.ts'

/** In the input, functions are this text. */
const FUNCTION = 'function'

/** `trackops.config.ts`: what is accepted can be compiled. */
export const configuration: FuzzTarget = {
  name: 'configuration',
  open() {
    const asJson: unknown = JSON.parse(
      JSON.stringify(config, (_name, value: unknown) => (typeof value === 'function' ? FUNCTION : value)),
    )
    return {
      inputs: asBytes(mutatedJson([asJson])),
      check(input) {
        const value: unknown = parsed(input, (_name, member: unknown) => (member === FUNCTION ? () => ({}) : member))
        refusesOnly(['CONFIG_INVALID'], () => {
          assertConfig(value, 'trackops.config.ts')
          const views = compileViews(value.views, { keyPrefix: value.cache?.keyPrefix })
          assert.equal(views.all.length, value.views.length)
        })
      },
    }
  },
}

const VARIABLES = [...Object.values(SETTINGS).map(({ variable }) => variable), 'DATABASE_URL_FILE', 'REDIS_URL_FILE']
const URLS = [
  'postgres://user:secret@127.0.0.1:5432/orders?sslmode=verify-full&sslrootcert=system',
  'postgresql:///orders?host=/tmp&port=1',
  'postgres://h/d?sslmode=',
  'postgres://h/d?port=',
  'redis://user:secret@127.0.0.1:6379/0',
  'rediss://h',
  '127.0.0.1:9092,b:9093',
  'http://127.0.0.1:8083',
]

/** The environment. What is accepted can be used: clients are made of it, though nothing is connected. */
export const settings: FuzzTarget = {
  name: 'settings',
  open() {
    const word = fc.constantFrom(
      '1',
      '0',
      'embedded',
      'distributed',
      'PLAIN',
      '65536',
      'a:1',
      'a:65536',
      '/nowhere',
      '/',
    )
    const changedUrl = fc
      .tuple(fc.constantFrom(...URLS), fc.nat({ max: 80 }), fc.nat({ max: 6 }), oddText)
      .map(([url, at, removed, text]) => url.slice(0, at) + text + url.slice(at + removed))
    const appended = fc.tuple(fc.constantFrom(...URLS), oddText).map(([url, text]) => url + text)
    const value = fc.oneof(word, fc.constantFrom(...URLS), changedUrl, appended, oddText)
    return {
      inputs: asBytes(fc.dictionary(fc.constantFrom(...VARIABLES), value, { maxKeys: 6 })),
      check(input) {
        const environment = parsed(input) as Record<string, string>
        const read = refusesOnly(['CONFIG_INVALID'], () => readSettings(environment))
        if (!read) return
        for (const url of [read.databaseUrl, read.captureDatabaseUrl]) {
          const target = refusesOnly(['CONFIG_INVALID'], () => (url === undefined ? undefined : parseDatabaseUrl(url)))
          if (!target) continue
          assert.ok(Number.isInteger(target.port) && target.port > 0 && target.port <= 65_535)
          assert.equal(typeof target.sslMode, 'string')
        }
        const { redisUrl } = read
        if (redisUrl !== undefined)
          refusesOnly(['CONFIG_INVALID'], () => createRedisClient(redisUrl, { name: 'fuzz', log: SILENT }))
        refusesOnly(['CONFIG_INVALID'], () => kafkaConnectionOf(read))
        for (const broker of read.kafkaBrokers ?? []) assert.ok(Number(broker.split(':').at(-1)) <= 65_535, broker)
      },
    }
  },
}

export const debeziumOptions: FuzzTarget = {
  name: 'debezium-options',
  open() {
    const value = fc.oneof(
      fc.constantFrom('none', 'initial', 'precise', 'true', '2', 'public.a:id;b:(x,y)', '(', '[a', 'a,b\\,c', '.*'),
      oddText,
    )
    const name = fc.oneof(fc.constantFrom(...PROPERTY_NAMES), oddText)
    const suffixed = fc.tuple(name, oddText).map(([one, more]) => one + more)
    const pair = fc.tuple(fc.oneof(name, suffixed), value).map(([left, right]) => `${left}=${right}`)
    return {
      inputs: asBytes(
        fc.array(fc.oneof({ weight: 9, arbitrary: pair }, { weight: 1, arbitrary: oddText }), { maxLength: 4 }),
      ),
      check(input) {
        const pairs = parsed(input) as string[]
        refusesOnly(['USAGE'], () => parseDebeziumOptions(pairs, { topicPrefix: 'tp' }))
      },
    }
  },
}

function parsed(input: Buffer, revive?: (name: string, value: unknown) => unknown): unknown {
  return JSON.parse(input.toString('utf8'), revive)
}
