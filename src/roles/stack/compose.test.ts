/** deploy/compose.yaml can't be run by tests; that it says what the code says can be seen. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { readSettings } from '../../runtime/settings.ts'
import { brokerProperties, type Properties, workerProperties } from './properties.ts'

const COMPOSE = read('compose.yaml')
const POM = read('stack/pom.xml')
const PORTS = { kafka: 9092, controller: 9093, connect: 8083 }

test('every port is on loopback, and the one of the settings', () => {
  const settings = readSettings({})
  const published = [...COMPOSE.matchAll(/^ +- '([\d.]+):(\d+):\d+'$/gm)]
  assert.equal(published.length, [...COMPOSE.matchAll(/^ +ports:$/gm)].length)
  assert.deepEqual(
    published.map(([, address, port]) => [address, Number(port)]),
    [settings.postgresPort, settings.redisPort, settings.kafkaPort, settings.connectPort].map((port) => [
      '127.0.0.1',
      port,
    ]),
  )
})

test('images are pinned, Kafka and Debezium to the versions of the pom', () => {
  const images = [...COMPOSE.matchAll(/^ +image: (\S+):(\S+)$/gm)].map(
    ([, name = '', tag = '']) => [name, tag] as const,
  )
  for (const [name, tag] of images) assert.match(tag, /^\d+\.\d+/, name)
  const versionOf = (property: string): string | undefined =>
    new RegExp(`<${property}\\.version>([^<]+)<`).exec(POM)?.[1]
  const tags = new Map(images)
  assert.equal(tags.get('apache/kafka'), versionOf('kafka'))
  assert.equal(tags.get('quay.io/debezium/connect'), versionOf('debezium'))
})

test('the broker is told what ours is told, addresses and folders aside', () => {
  const { environment, properties } = both('KAFKA_', brokerProperties({ ports: PORTS, dataDirectory: '/data' }))
  const differs = /^KAFKA_(ADVERTISED_|INTER_BROKER_)?LISTENER|^KAFKA_(LOG_DIRS|CONTROLLER_QUORUM_VOTERS|HEAP_OPTS)$/
  assert.deepEqual(without(environment, differs), without(properties, differs))
})

test('the worker is told what ours is told, addresses and folders aside', () => {
  const worker = workerProperties({ ports: PORTS, pluginDirectory: '/plugins' })
  const { environment, properties } = both('CONNECT_', worker)
  // The image has names of its own for a few.
  const own = /^ +((?:BOOTSTRAP|GROUP|CONFIG_STORAGE|OFFSET_STORAGE|STATUS_STORAGE|KEY|VALUE)_[A-Z_]+): (\S+)$/gm
  for (const [, name = '', value = ''] of COMPOSE.matchAll(own)) environment[`CONNECT_${name}`] = value
  const differs = /^CONNECT_(BOOTSTRAP_SERVERS|LISTENERS|REST_.*|PLUGIN_.*)$/
  assert.deepEqual(without(environment, differs), without(properties, differs))
})

function both(prefix: string, properties: Properties) {
  const entries = [...COMPOSE.matchAll(new RegExp(`^ +(${prefix}[A-Z_]+): (.*)$`, 'gm'))]
  return {
    environment: Object.fromEntries(entries.map(([, name = '', value = '']) => [name, value.replaceAll("'", '')])),
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [prefix + name.toUpperCase().replaceAll(/[.-]/g, '_'), value]),
    ),
  }
}

function without(variables: Readonly<Record<string, string>>, names: RegExp): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !names.test(name)))
}

function read(path: string): string {
  return readFileSync(new URL(`../../../deploy/${path}`, import.meta.url), 'utf8')
}
