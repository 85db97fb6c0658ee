import assert from 'node:assert/strict'
import { test } from 'node:test'

import { brokerProperties, renderProperties, workerProperties } from './properties.ts'

const PORTS = { kafka: 1, controller: 2, connect: 3 }

test('broker and worker listen on loopback alone', () => {
  const broker = brokerProperties({ ports: PORTS, dataDirectory: '/data' })
  assert.equal(broker['listeners'], 'PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2')
  assert.equal(broker['advertised.listeners'], 'PLAINTEXT://127.0.0.1:1')
  assert.equal(broker['controller.quorum.voters'], '1@127.0.0.1:2')
  const worker = workerProperties({ ports: PORTS, pluginDirectory: '/plugins' })
  assert.equal(worker['listeners'], 'http://127.0.0.1:3')
  assert.equal(worker['bootstrap.servers'], '127.0.0.1:1')
})

test('a topic that nobody made does not come into being by being named', () => {
  assert.equal(brokerProperties({ ports: PORTS, dataDirectory: '/data' })['auto.create.topics.enable'], 'false')
})

test('a broker with a further listener keeps the plain one for Connect, and for nobody the controller', () => {
  const broker = brokerProperties({
    ports: PORTS,
    dataDirectory: '/data',
    listeners: [{ name: 'SECURE', protocol: 'SASL_SSL', port: 4 }],
  })
  assert.equal(broker['listeners'], 'PLAINTEXT://127.0.0.1:1,SECURE://127.0.0.1:4,CONTROLLER://127.0.0.1:2')
  assert.equal(broker['advertised.listeners'], 'PLAINTEXT://127.0.0.1:1,SECURE://127.0.0.1:4')
  assert.equal(broker['listener.security.protocol.map'], 'PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT')
  assert.equal(broker['inter.broker.listener.name'], 'PLAINTEXT')
})

test('given settings are over ours', () => {
  const settings = { 'num.partitions': '12', 'ssl.keystore.location': '/keys' }
  const broker = brokerProperties({ ports: PORTS, dataDirectory: '/data', settings })
  assert.deepEqual([broker['num.partitions'], broker['ssl.keystore.location']], ['12', '/keys'])
  const worker = workerProperties({ ports: PORTS, pluginDirectory: '/p', settings: { 'group.id': 'other' } })
  assert.equal(worker['group.id'], 'other')
})

test('values are written as java.util.Properties reads them', () => {
  assert.equal(
    renderProperties({ 'a b': 'C:\\dir', c: ' x=1\n#y', ü: 'ß\u{1f600}' }),
    'a\\ b=C:\\\\dir\nc=\\ x=1\\n#y\n\\u00fc=\\u00df\\ud83d\\ude00\n',
  )
})
