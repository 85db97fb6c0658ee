import assert from 'node:assert/strict'
import { test } from 'node:test'

import { countView, itemEvents, itemView, preflightFixture } from './preflight-fixture.ts'

const ids = (findings: readonly { readonly id: string }[]): string[] =>
  findings.map(({ id }) => id).filter((id) => id.startsWith('debezium-'))

test('columns that Debezium leaves out, nulls or cannot tell from an unsent one are found, and only in distributed mode', async (t) => {
  const columns = ['id', 'shape', 'parts', 'spans', 'tag', 'marks', 'notes', 'flags', 'labels']
  const setUp = `
    create type part as (x int); create domain label as text;
    create table public.items (id uuid primary key, owner text, status text, shape circle, parts part, spans int4multirange,
      tag name, marks point[], notes text[], flags boolean[], labels label[]);
    create publication {publication} for table public.items;`
  const { look, sql } = await preflightFixture(t, {
    setUp,
    views: [itemView({ columns }), countView('select 1 where $1 is null')],
    events: [itemEvents(['id', 'tag', 'spans'])],
  })
  const distributed = { isDistributed: true }
  const findings = await look(distributed)
  const told = findings
    .filter(({ id }) => id.startsWith('debezium-'))
    .map(({ severity, finding }) => `${severity}: ${finding}`)
  assert.deepEqual(told, [
    'error: Debezium writes NULL for tag (name) of public.items in every change, which view item needs',
    'warning: Debezium leaves out shape (circle), parts (part), spans (int4multirange), marks (_point) and labels (_label) of public.items, which view item needs',
    'error: Debezium writes NULL for flags (_bool) of public.items where a long value was not changed (view item)',
    'error: Debezium writes NULL for tag (name) of public.items in every change, which events item-events needs',
    'error: Debezium leaves out spans (int4multirange) of public.items, which events item-events needs',
  ])
  assert.deepEqual(ids(await look()), [])
  const unsent = findings.find(({ id }) => id === 'debezium-unsent-null')
  await sql.unsafe(unsent?.mend ?? '')
  assert.ok(!ids(await look(distributed)).includes('debezium-unsent-null'), 'with the whole old row nothing is unsent')
})

test('tables whose records have no key, or a wrong one, are found', async (t) => {
  const setUp = `create table public.items (id uuid, owner text, status text);
    alter table public.items replica identity full;
    create publication {publication} for table public.items;`
  const { look, sql } = await preflightFixture(t, { setUp, views: [itemView()], events: [] })
  assert.deepEqual(ids(await look({ isDistributed: true })), ['debezium-no-key'])
  await sql.unsafe(`alter table items alter id set not null; create unique index items_key on items (id);
    alter table items replica identity using index items_key`)
  assert.deepEqual(ids(await look({ isDistributed: true })), ['debezium-identity-index'])
})
