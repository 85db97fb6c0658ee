/** deploy/sql/capture-role.sql, run as its page says, and what preflight says of the role. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { ownPostgres } from '../../../test/support/postgres.ts'
import { hasProgram, psql } from '../../../test/support/psql.ts'
import { createPostgresPool } from '../../runtime/postgres.ts'
import { fakeConnect } from '../connector/connect-fixture.ts'
import { connectorConfiguration } from '../connector/connector-configuration.ts'
import { ITEMS_TABLE, preflightFixture } from './preflight-fixture.ts'

const SCRIPT = new URL('../../../deploy/sql/capture-role.sql', import.meta.url)

test(
  'the role of deploy/sql/capture-role.sql is all that the connector needs, and each right is missed',
  { skip: hasProgram('psql') ? false : 'no psql on this machine' },
  async (t) => {
    // a role belongs to a whole server: one of its own
    const server = await ownPostgres(t)
    const fixture = await preflightFixture(t, { setUp: ITEMS_TABLE, withSlot: false, database: server })
    const { sql, config, slot } = fixture
    const variables = {
      role: 'catcher',
      password: "it's secret",
      schemas: 'public',
      tables: 'public.items',
      publication: slot,
    }
    const settings = Object.entries(variables).map(
      ([name, value]) => `\\set ${name} '${value.replaceAll("'", "''")}'\n`,
    )
    await psql(server.url, settings.join('') + readFileSync(SCRIPT, 'utf8'))

    const captureUrl = new URL(server.url)
    captureUrl.username = 'catcher'
    const connect = await fakeConnect(t)
    const ours = connectorConfiguration(config, { databaseUrl: captureUrl.href })
    connect.connectors.set(ours.name, { config: { ...ours.config } })
    const found = async (): Promise<string[]> =>
      (await fixture.look({ connectUrl: connect.url }))
        .map(({ id }) => id)
        .filter((id) => id.startsWith('capture-role'))
    assert.deepEqual(await found(), [])
    await assertMayCapture(captureUrl.href, slot)

    const cases = [
      ['alter role catcher noreplication', 'alter role catcher replication', 'capture-role-lacks'],
      ['alter role catcher nologin', 'alter role catcher login', 'capture-role-lacks'],
      [
        'revoke connect on database postgres from public',
        'grant connect on database postgres to public',
        'capture-role-lacks',
      ],
      [
        'revoke usage on schema public from catcher, public',
        'grant usage on schema public to catcher',
        'capture-role-lacks',
      ],
      ['revoke select on items from catcher', 'grant select on items to catcher', 'capture-role-lacks'],
      [
        `create table more (id int); alter publication ${slot} add table more`,
        'drop table more',
        'capture-role-publication',
      ],
      [`drop publication ${slot}`, `create publication ${slot} for table items`, 'capture-role-publication'],
      ['grant update on items to catcher', 'revoke update on items from catcher', 'capture-role-excess'],
      ['alter role catcher superuser', 'alter role catcher nosuperuser', 'capture-role-excess'],
    ] as const
    for (const [breaking, mending, id] of cases) {
      await sql.unsafe(breaking)
      assert.deepEqual(await found(), [id], breaking)
      await sql.unsafe(mending)
      assert.deepEqual(await found(), [], mending)
    }
    await sql.unsafe('alter role catcher rename to somebody')
    assert.deepEqual(await found(), ['capture-role-missing'])
  },
)

/** What Debezium does with this configuration: slot, snapshot, heartbeat; and that it can do no more. */
async function assertMayCapture(url: string, publication: string): Promise<void> {
  const sql: Sql = createPostgresPool(url, { applicationName: 'catcher', maxConnections: 1 })
  try {
    await sql`select pg_create_logical_replication_slot('tried', 'pgoutput', false, false)`
    await sql`select * from public.items`
    await sql`select pg_logical_emit_message(false, 'trackops-heartbeat', '')`
    const options = ['proto_version', '1', 'publication_names', publication]
    await sql`select count(*) from pg_logical_slot_get_binary_changes('tried', null, null, variadic ${options})`
    await sql`select pg_drop_replication_slot('tried')`
    for (const forbidden of [
      "insert into public.items values ('0b9d1cde-7c4e-4e61-a1b6-6a3a1d9f0f11', 'a', 'b')",
      'truncate public.items',
      'create table public.mine (id int)',
      `alter publication ${publication} drop table public.items`,
      'create publication mine for table public.items',
    ])
      await assert.rejects(sql.unsafe(forbidden), { code: '42501' }, forbidden)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
