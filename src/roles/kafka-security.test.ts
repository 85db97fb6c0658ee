/** TLS and logins, against a real broker: what the consumers' clients do with them, and what is said where they are wrong. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { type Authority, noOpenssl, pemOf, testAuthority } from '../../test/support/certificates.ts'
import { freePort } from '../../test/support/free-port.ts'
import { ownStack, STACK_SOFTWARE, uniqueName, whyNoStack } from '../../test/support/stack.ts'
import type { KafkaClients } from '../log/kafka/kafka-clients.ts'
import { toKafkaError } from '../log/kafka/kafka-error.ts'
import { createPartitionGroup } from '../log/kafka/partition-group.ts'
import { ensureTopic } from '../log/kafka/topics.ts'
import { describeError, type TrackOpsError } from '../runtime/errors.ts'
import { SILENT } from '../runtime/logger.ts'
import { readTlsFiles } from '../runtime/tls.ts'
import { createKafkaClients, type KafkaConnection, type KafkaLogin } from './kafka-clients.ts'
import { javaArguments } from './stack/java-server.ts'
import type { Properties } from './stack/properties.ts'
import { stackSoftware } from './stack/stack-software.ts'

const skip = (await whyNoStack()) || noOpenssl
const USER = 'trackops'
const PASSWORD = 'geheim-und-lang'
const PLAIN: KafkaLogin = { mechanism: 'PLAIN', username: USER, password: PASSWORD }
const LOGIN_FAILED = /SASL authentication failed/
const UNTRUSTED = /no authority that is trusted here .*: see KAFKA_TLS_CA_FILE/
const SCRAM: KafkaLogin = { ...PLAIN, mechanism: 'SCRAM-SHA-512' }

test(
  'over SASL_SSL the clients produce, consume in a group and run transactions; each wrong setting has its line',
  { skip },
  async (t) => {
    const authority = testAuthority(t)
    const other = testAuthority(t)
    const ports = { sasl: await freePort(), mutual: await freePort() }
    const stack = await ownStack(t, {
      listeners: [
        { name: 'SASL', protocol: 'SASL_SSL', port: ports.sasl },
        { name: 'MUTUAL', protocol: 'SSL', port: ports.mutual },
      ],
      kafkaSettings: {
        ...tlsOf('sasl', authority),
        ...tlsOf('mutual', authority),
        ...LOGINS,
        'listener.name.mutual.ssl.client.auth': 'required',
      },
    })
    await addScramUser(stack.brokers[0] ?? '')
    const ca = { setting: 'KAFKA_TLS_CA_FILE', file: authority.certFile }
    const tls = readTlsFiles({ ca })
    const secure = (sasl: KafkaLogin | undefined, host = '127.0.0.1'): KafkaConnection => ({
      brokers: [`${host}:${ports.sasl}`],
      tls,
      sasl,
    })

    await t.test('SCRAM-SHA-512', async () => assertWorks(createKafkaClients(secure(SCRAM))))
    await t.test('SCRAM-SHA-256', async () =>
      assertWorks(createKafkaClients(secure({ ...SCRAM, mechanism: 'SCRAM-SHA-256' }))),
    )
    await t.test('PLAIN', async () => assertWorks(createKafkaClients(secure(PLAIN))))
    await t.test('a client certificate', async () => {
      const me = authority.issue('me')
      const mine = readTlsFiles({
        ca,
        cert: { setting: 'cert', file: me.certFile },
        key: { setting: 'key', file: me.keyFile },
      })
      await assertWorks(createKafkaClients({ brokers: [`127.0.0.1:${ports.mutual}`], tls: mine }))
    })

    const brokers = [`127.0.0.1:${ports.sasl}`]
    const theirs = readTlsFiles({ ca: { setting: 'KAFKA_TLS_CA_FILE', file: other.certFile } })
    const wrong: readonly (readonly [name: string, connection: KafkaConnection, code: string, said: RegExp])[] = [
      ['a wrong password, SCRAM', secure({ ...SCRAM, password: 'falsch-geheim' }), 'KAFKA_REFUSED', LOGIN_FAILED],
      ['a wrong password, PLAIN', secure({ ...PLAIN, password: 'falsch-geheim' }), 'KAFKA_REFUSED', LOGIN_FAILED],
      ['no such user', secure({ ...SCRAM, username: 'nobody' }), 'KAFKA_REFUSED', LOGIN_FAILED],
      ['a login where none is known', { brokers: stack.brokers, sasl: SCRAM }, 'KAFKA_REFUSED', /SASL state/],
      ['an authority that is not trusted', { ...secure(SCRAM), tls: theirs }, 'KAFKA_UNREACHABLE', UNTRUSTED],
      ['the public authorities', { ...secure(SCRAM), tls: {} }, 'KAFKA_UNREACHABLE', UNTRUSTED],
      [
        "another host's certificate",
        secure(SCRAM, 'localhost'),
        'KAFKA_UNREACHABLE',
        /another host's: Host: localhost/,
      ],
      ['no TLS where it is spoken', { brokers, sasl: SCRAM }, 'KAFKA_UNREACHABLE', /Connection closed/],
      ['neither TLS nor a login', { brokers }, 'KAFKA_UNREACHABLE', /requires TLS/],
      ['no login where one is wanted', secure(undefined), 'KAFKA_UNREACHABLE', /Connection closed/],
      ['TLS where none is spoken', { brokers: stack.brokers, tls }, 'KAFKA_UNREACHABLE', /before secure TLS/],
      [
        'no client certificate',
        { brokers: [`127.0.0.1:${ports.mutual}`], tls },
        'KAFKA_UNREACHABLE',
        /Connection closed|client certificate/,
      ],
    ]
    for (const [name, connection, code, said] of wrong)
      await t.test(name, async () => {
        const error = await refusal(createKafkaClients(connection))
        assert.equal(error.code, code, error.message)
        assert.match(error.message, said)
        assert.doesNotMatch(describeError(error), /geheim|\n/)
      })
  },
)

async function assertWorks(clients: KafkaClients): Promise<void> {
  const topic = uniqueName('secured')
  await ensureTopic(clients, topic, 1)
  const producer = clients.producer(topic)
  try {
    const transaction = await producer.beginTransaction()
    await transaction.send({ messages: [{ topic, key: Buffer.from('k'), value: Buffer.from('within'), partition: 0 }] })
    await transaction.commit()
  } finally {
    await producer.close()
  }
  const seen: string[] = []
  const done = new AbortController()
  const group = createPartitionGroup({ clients, log: SILENT }, { groupId: uniqueName('group'), topics: [topic] })
  await group.run(async (partition, signal) => {
    const { start } = await partition.bounds()
    for await (const { records } of partition.read(start, signal)) {
      seen.push(...records.map(({ value }) => String(value)))
      if (seen.length > 0) done.abort()
    }
  }, done.signal)
  assert.deepEqual(seen, ['within'])
}

async function refusal(clients: KafkaClients): Promise<TrackOpsError> {
  const admin = clients.admin()
  try {
    await admin.listTopics()
  } catch (error) {
    return toKafkaError(error, 'asking for topics')
  } finally {
    await admin.close().catch(() => undefined)
  }
  return assert.fail('it was not refused')
}

function tlsOf(listener: string, authority: Authority): Properties {
  const { key, chain } = pemOf(authority.issue(listener, ['IP:127.0.0.1']))
  const of = `listener.name.${listener}.ssl`
  return {
    [`${of}.keystore.type`]: 'PEM',
    [`${of}.keystore.key`]: key,
    [`${of}.keystore.certificate.chain`]: chain,
    [`${of}.truststore.type`]: 'PEM',
    [`${of}.truststore.certificates`]: pemOf(authority).chain,
  }
}

const MODULES = 'org.apache.kafka.common.security'
const LOGINS: Properties = {
  'listener.name.sasl.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
  'listener.name.sasl.plain.sasl.jaas.config': `${MODULES}.plain.PlainLoginModule required user_${USER}="${PASSWORD.replaceAll('"', '\\"')}";`,
  'listener.name.sasl.scram-sha-256.sasl.jaas.config': `${MODULES}.scram.ScramLoginModule required;`,
  'listener.name.sasl.scram-sha-512.sasl.jaas.config': `${MODULES}.scram.ScramLoginModule required;`,
}

/** As an operator does it: kafka-configs.sh, which takes one mechanism at a time. */
async function addScramUser(broker: string): Promise<void> {
  const software = await stackSoftware(STACK_SOFTWARE)
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    const whom = ['--entity-type', 'users', '--entity-name', USER]
    const args = [
      '--bootstrap-server',
      broker,
      '--alter',
      ...whom,
      '--add-config',
      `${mechanism}=[password=${PASSWORD}]`,
    ]
    await promisify(execFile)(software.java, [...javaArguments(software), 'kafka.admin.ConfigCommand', ...args])
  }
}
