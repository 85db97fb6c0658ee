import assert from 'node:assert/strict'
import { test } from 'node:test'

import { noOpenssl, testAuthority } from '../../test/support/certificates.ts'
import { readSettings } from '../runtime/settings.ts'
import { kafkaConnection, kafkaConnectionOf } from './kafka-connection.ts'

const BROKERS = { KAFKA_BROKERS: 'one:9092' }
const LOGIN = { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'geheim' }

test('the settings for Kafka make one connection, and none without brokers', { skip: noOpenssl }, (t) => {
  const authority = testAuthority(t)
  const of = (environment: Record<string, string>) => kafkaConnection(readSettings(environment))
  assert.equal(of({}), undefined)
  assert.deepEqual(of(BROKERS), { brokers: ['one:9092'], sasl: undefined, tls: undefined })
  assert.deepEqual(of({ ...BROKERS, KAFKA_TLS: '1' })?.tls, {})
  const { sasl, tls } = of({ ...BROKERS, ...LOGIN, KAFKA_TLS: '1', KAFKA_TLS_CA_FILE: authority.certFile }) ?? {}
  assert.deepEqual(sasl, { mechanism: 'SCRAM-SHA-512', username: 'u', password: 'geheim' })
  assert.match(String(tls?.ca), /BEGIN CERTIFICATE/)
})

test('the distributed mode without brokers means those of the stack on this machine', () => {
  const of = (environment: Record<string, string>) => kafkaConnectionOf(readSettings(environment))?.brokers
  assert.equal(of({}), undefined)
  assert.deepEqual(of({ TRACKOPS_MODE: 'distributed', TRACKOPS_KAFKA_PORT: '1234' }), ['127.0.0.1:1234'])
  assert.deepEqual(of(BROKERS), ['one:9092'])
})

test('half a login, or TLS that is not asked for, is refused rather than left out', () => {
  for (const [environment, said] of [
    [{ ...BROKERS, ...LOGIN, KAFKA_SASL_MECHANISM: '' }, /needs KAFKA_SASL_MECHANISM as well/],
    [{ ...BROKERS, ...LOGIN, KAFKA_SASL_USERNAME: '' }, /needs KAFKA_SASL_USERNAME as well/],
    [
      { ...BROKERS, ...LOGIN, KAFKA_SASL_PASSWORD: '' },
      /needs KAFKA_SASL_PASSWORD \(or KAFKA_SASL_PASSWORD_FILE\) as well/,
    ],
    [{ ...BROKERS, KAFKA_TLS_CA_FILE: '/ca.pem' }, /KAFKA_TLS_CA_FILE is set, but KAFKA_TLS is not/],
    [{ ...BROKERS, KAFKA_TLS: '1', KAFKA_TLS_CERT_FILE: '/me.pem' }, /KAFKA_TLS_CERT_FILE is set alone/],
    [{ KAFKA_TLS: '1' }, /KAFKA_TLS is set, but KAFKA_BROKERS is not/],
    [LOGIN, /KAFKA_SASL_MECHANISM is set, but KAFKA_BROKERS is not/],
  ] as const)
    assert.throws(
      () => kafkaConnection(readSettings(environment)),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.match(error.message, said)
        assert.doesNotMatch(error.message, /geheim/)
        return true
      },
    )
})
