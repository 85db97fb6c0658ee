/** rediss:// and logins, against a real Redis. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { noOpenssl, testAuthority } from '../../test/support/certificates.ts'
import { defer } from '../../test/support/defer.ts'
import { freePort } from '../../test/support/free-port.ts'
import { testRedis } from '../../test/support/redis.ts'
import { callRedis } from '../cache/redis-call.ts'
import { describeError, TrackOpsError } from '../runtime/errors.ts'
import { SILENT } from '../runtime/logger.ts'
import { serverUrls } from './connections.ts'
import type { LoadedConfig } from './load-config.ts'
import { connectRedis, createRedisClient } from './redis-client.ts'

const skip = noOpenssl
const loaded: LoadedConfig = {
  config: { source: { urlVariable: 'X', embeddedName: 'x', slot: 'x', publication: 'x' }, views: [] },
  directory: '/',
  file: '/none',
}
const PORTS = { postgres: 1, redis: 1 }

test('over TLS, with a user of its own, Redis is used; each wrong setting has its line', { skip }, async (t) => {
  const authority = testAuthority(t)
  const other = testAuthority(t)
  const server = authority.issue('redis', ['DNS:localhost'])
  const me = authority.issue('me')
  const [optional, required] = [await freePort(), await freePort()]
  const settings = {
    'tls-cert-file': server.certFile,
    'tls-key-file': server.keyFile,
    'tls-ca-cert-file': authority.certFile,
  }
  const redis = await testRedis(t, {
    settings: { ...settings, 'tls-port': String(optional), 'tls-auth-clients': 'optional' },
  })
  await testRedis(t, { settings: { ...settings, 'tls-port': String(required), 'tls-auth-clients': 'yes' } })
  const admin = createRedisClient(redis.url, { name: 'test', log: SILENT })
  await connectRedis(admin, redis.url)
  defer(t, () => admin.destroy())
  await callRedis(admin, ['ACL', 'SETUSER', 'cacher', 'on', '>geheim', '~*', '&*', '+@all'], 5_000)
  await callRedis(admin, ['ACL', 'SETUSER', 'default', 'off'], 5_000)

  const ca = { REDIS_TLS_CA_FILE: authority.certFile }
  const client = { REDIS_TLS_CERT_FILE: me.certFile, REDIS_TLS_KEY_FILE: me.keyFile }
  const at = (port: number, user = 'cacher:geheim@', host = 'localhost'): string => `rediss://${user}${host}:${port}/0`
  const untrusted = /REDIS_UNREACHABLE.* signed by no authority .* REDIS_TLS_CA_FILE/
  for (const [environment, expected] of [
    [{ REDIS_URL: at(optional), ...ca }, /^PONG$/],
    [{ REDIS_URL: at(optional), ...ca, ...client }, /^PONG$/],
    [{ REDIS_URL: at(required, ''), ...ca, ...client }, /^PONG$/],
    [{ REDIS_URL: at(optional) }, untrusted],
    [{ REDIS_URL: at(optional), REDIS_TLS_CA_FILE: other.certFile }, untrusted],
    [{ REDIS_URL: at(optional, undefined, '127.0.0.1'), ...ca }, /REDIS_UNREACHABLE.* another host's: IP: 127.0.0.1/],
    [{ REDIS_URL: at(required, ''), ...ca }, /REDIS_UNREACHABLE.* client certificate/],
    [{ REDIS_URL: at(redis.port), ...ca }, /REDIS_UNREACHABLE.* Connection timeout/],
    [{ REDIS_URL: at(optional).replace('rediss', 'redis') }, /REDIS_UNREACHABLE/],
    [{ REDIS_URL: at(optional, 'cacher:falsch-geheim@'), ...ca }, /REDIS_REFUSED.* WRONGPASS/],
    [{ REDIS_URL: at(optional, ''), ...ca }, /REDIS_REFUSED.* NOAUTH/],
    [{ REDIS_URL: redis.url, ...ca }, /CONFIG_INVALID.* rediss:/],
    [
      { REDIS_URL: at(optional), REDIS_TLS_CA_FILE: '/nowhere' },
      /CONFIG_INVALID.* REDIS_TLS_CA_FILE: cannot read \/nowhere/,
    ],
    [{ REDIS_URL: at(optional), REDIS_TLS_CA_FILE: me.keyFile }, /CONFIG_INVALID.* holds no certificate/],
    [
      { REDIS_URL: at(optional), REDIS_TLS_CERT_FILE: me.certFile },
      /CONFIG_INVALID.* REDIS_TLS_CERT_FILE is set alone/,
    ],
    [
      { REDIS_URL: at(optional), ...client, REDIS_TLS_KEY_FILE: server.keyFile },
      /CONFIG_INVALID.* not the private key/,
    ],
  ] as const) {
    const said = await ping(environment)
    assert.match(said, expected)
    assert.doesNotMatch(said, /geheim/)
  }
})

async function ping(environment: NodeJS.ProcessEnv): Promise<string> {
  let client: ReturnType<typeof createRedisClient> | undefined
  try {
    const { redis, redisTls } = serverUrls(loaded, environment, PORTS)
    client = createRedisClient(redis, { name: 'test', log: SILENT, tls: redisTls })
    await connectRedis(client, redis)
    return String(await callRedis(client, ['PING'], 5_000))
  } catch (error) {
    const code = error instanceof TrackOpsError ? error.code : 'unknown'
    return `${code} ${describeError(error)}`
  } finally {
    if (client?.isOpen === true) client.destroy()
  }
}
