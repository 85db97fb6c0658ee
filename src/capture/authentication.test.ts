import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { ownPostgres } from '../../test/support/postgres.ts'
import { connectReplication } from './replication-connection.ts'

const PASSWORD = 'p@ss/wörd: %'

function connect(databaseUrl: string): ReturnType<typeof connectReplication> {
  return connectReplication({ databaseUrl, applicationName: 'test', isReplication: true })
}

test('every kind of password is spoken, and a wrong one is refused with the server’s reason', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'trackops-hba-'))
  t.after(() => rmSync(directory, { recursive: true }))
  chmodSync(directory, 0o755)
  const hba = join(directory, 'hba.conf')
  writeFileSync(
    hba,
    ['scram-sha-256', 'md5', 'password']
      .map((method) => `host all ${method.slice(0, 3)}_role 127.0.0.1/32 ${method}\n`)
      .concat('host all all 127.0.0.1/32 trust\nlocal all all trust\n')
      .join(''),
  )
  chmodSync(hba, 0o644)
  const server = await ownPostgres(t, { settings: { hba_file: hba } })
  await server.sql.begin(async (tx) => {
    await tx`set local client_min_messages = error`
    for (const [role, encryption] of [
      ['scr_role', 'scram-sha-256'],
      ['md5_role', 'md5'],
      ['pas_role', 'scram-sha-256'],
    ]) {
      await tx.unsafe(`set local password_encryption = '${encryption}'`)
      await tx.unsafe(`create role ${role} login replication password '${PASSWORD}'`)
    }
  })
  for (const role of ['scr_role', 'md5_role', 'pas_role']) {
    const url = (password: string): string =>
      `postgres://${role}:${encodeURIComponent(password)}@127.0.0.1:${server.port}/postgres`
    const connection = await connect(url(PASSWORD))
    assert.deepEqual(await connection.query('select current_user, true, null'), [[role, 't', null]])
    assert.ok(connection.serverVersion >= 140_000)
    connection.close()
    await assert.rejects(connect(url('wrong')), { code: 'POSTGRES_REFUSED', details: { sqlState: '28P01' } })
  }
  const [unknownDatabase, plainRole] = [
    `postgres://postgres@127.0.0.1:${server.port}/nowhere`,
    `postgres://nobody@127.0.0.1:${server.port}/postgres`,
  ]
  await server.sql`create role nobody login`
  await assert.rejects(connect(unknownDatabase), { code: 'POSTGRES_REFUSED', details: { sqlState: '3D000' } })
  await assert.rejects(connect(plainRole), { code: 'POSTGRES_REFUSED', details: { sqlState: '42501' } })
  await assert.rejects(connect(`${server.url}?sslmode=require`), { code: 'POSTGRES_REFUSED' })
})

test('an error in a query leaves the connection usable', async (t) => {
  const server = await ownPostgres(t)
  const connection = await connect(server.url)
  t.after(() => connection.close())
  await assert.rejects(connection.query('select 1/0'), { code: 'POSTGRES_REFUSED', details: { sqlState: '22012' } })
  assert.deepEqual(await connection.query('select 1'), [['1']])
})

test('TLS as sslmode says: taken where offered, insisted on, and the certificate looked at where asked', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'trackops-tls-'))
  t.after(() => rmSync(directory, { recursive: true }))
  try {
    execFileSync('openssl', ['version'])
  } catch {
    t.skip('there is no openssl to make a certificate with')
    return
  }
  const [certificate, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  execFileSync(
    'openssl',
    `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout ${key} -out ${certificate}`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  )
  const server = await ownPostgres(t)
  const [row] = await server.sql<{ directory: string }[]>`select current_setting('data_directory') as directory`
  // written by the server itself, so that the key is its own and nobody else can read it
  const write = async (name: string, path: string): Promise<void> => {
    await server.sql.unsafe(
      `copy (select 1) to program 'umask 077; echo ${readFileSync(path).toString('base64')} | base64 -d > "${join(row?.directory ?? '', name)}"'`,
    )
  }
  await write('server.crt', certificate)
  await write('server.key', key)
  await server.sql`alter system set ssl = on`
  await server.sql`select pg_reload_conf()`

  const isEncrypted = async (url: string): Promise<string | null | undefined> => {
    const connection = await connect(url)
    const rows = await connection.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
    connection.close()
    return rows[0]?.[0]
  }
  const base = `postgres://postgres@localhost:${server.port}/postgres`
  assert.equal(await isEncrypted(`${base}?sslmode=disable`), 'f')
  assert.equal(await isEncrypted(base), 't')
  assert.equal(await isEncrypted(`${base}?sslmode=require`), 't')
  assert.equal(await isEncrypted(`${base}?sslmode=verify-full&sslrootcert=${certificate}`), 't')
  await assert.rejects(isEncrypted(`${base}?sslmode=verify-full`), { code: 'POSTGRES_UNREACHABLE' })
})

test('nobody there, somebody else there, and somebody who says nothing: unreachable, each in bounded time', async (t) => {
  const listen = async (answer: string | null): Promise<number> => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      if (answer !== null) socket.on('data', () => socket.write(answer))
    })
    t.after(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return typeof address === 'object' && address ? address.port : 0
  }
  const attempt = (port: number): Promise<unknown> =>
    connectReplication({
      databaseUrl: `postgres://u@127.0.0.1:${port}/d?sslmode=disable`,
      applicationName: 'test',
      isReplication: true,
      connectTimeoutMs: 200,
    })
  await assert.rejects(attempt(await listen('HTTP/1.1 400 Bad Request\r\n\r\n')), { code: 'POSTGRES_PROTOCOL' })
  await assert.rejects(attempt(await listen(null)), { code: 'POSTGRES_UNREACHABLE' })
  await assert.rejects(attempt(1), { code: 'POSTGRES_UNREACHABLE' })
})
