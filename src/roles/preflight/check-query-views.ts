import type { Sql, TransactionSql } from 'postgres'

import type { CompiledQueryView } from '../../cache/compiled-view.ts'
import { sqlStateOf } from '../../runtime/postgres-errors.ts'
import type { Check, DatabaseContext, Finding } from './finding.ts'
import { enumerate } from './names.ts'

/** That the SQL of query views can be run with the key's parameters, and declares every table that it reads. */
export const checkQueryViews: Check<DatabaseContext> = {
  name: 'query views',
  async run({ sql, views }) {
    const findings: Finding[] = []
    for (const view of views.all) if (view.kind === 'query') findings.push(...(await checkOne(sql, view)))
    return findings
  },
}

async function checkOne(sql: Sql, view: CompiledQueryView): Promise<readonly Finding[]> {
  const unused = unusedParameters(view)
  const findings: Finding[] = unused.map((name) => ({
    id: 'query-parameter-unused',
    severity: 'error',
    finding: `the SQL of view ${view.name} does not use parameter ${name} of its key ($${view.template.parameters.indexOf(name) + 1})`,
    consequence: 'All keys that differ only there hold the same document.',
    mend: `Use it in the SQL, or take {${name}} out of the key.`,
  }))
  const beyond = [...usedNumbers(view)].filter((number) => number > view.template.parameters.length)
  if (beyond.length > 0) return [...findings, cannotRun(view, `nothing gives ${enumerate(beyond.map((n) => `$${n}`))}`)]
  const planned = await plan(sql, view)
  if (!planned.ok) return [...findings, cannotRun(view, planned.message)]
  const declared = new Set(view.view.dependsOn.map(({ table }) => table))
  const undeclared = planned.tables.filter((names) => !names.some((name) => declared.has(name))).map(([name]) => name)
  if (undeclared.length > 0)
    findings.push({
      id: 'query-view-undeclared-table',
      severity: 'error',
      finding: `view ${view.name} reads ${enumerate(undeclared.filter((name) => name !== undefined))}, which its dependsOn does not name`,
      consequence: 'Changes there do not reach what is cached: it goes stale and stays so until its TTL ends.',
      mend: `Add to its dependsOn: ${undeclared.map((name) => `{ table: '${name}', columns: [...], keys: ... }`).join(', ')}`,
    })
  return findings
}

/** By the text alone: a `$1` within a literal counts, too. */
function usedNumbers(view: CompiledQueryView): ReadonlySet<number> {
  return new Set(Array.from(view.view.sql.matchAll(/\$(\d+)/g), ([, number]) => Number(number)))
}

function unusedParameters(view: CompiledQueryView): readonly string[] {
  const used = usedNumbers(view)
  return view.template.parameters.filter((_, index) => !used.has(index + 1))
}

function cannotRun(view: CompiledQueryView, message: string): Finding {
  const count = view.template.parameters.length
  return {
    id: 'query-view-invalid',
    severity: 'error',
    finding: `PostgreSQL does not take the SQL of view ${view.name}: ${message}`,
    consequence: 'Every read of the view fails.',
    mend: `Correct it. Its key gives ${count} parameter${count === 1 ? '' : 's'}, as text: cast them, as in $1::uuid.`,
  }
}

/** Syntax, names, types and rights; data exceptions of constants; what is not supported; writing in a read-only transaction. */
const SQL_IS_WRONG = /^(42|22|0A|25006)/

type Planned =
  /** For each table its name and those of the partitioned tables above it. */
  | { readonly ok: true; readonly tables: readonly (readonly string[])[] }
  | { readonly ok: false; readonly message: string }

/** The generic plan, which no parameter's value can shorten; nothing is executed. */
async function plan(sql: Sql, view: CompiledQueryView): Promise<Planned> {
  const { parameters } = view.template
  const types = parameters.map(() => 'text').join(', ')
  const query = view.view.sql.replace(/;\s*$/, '')
  let result: Planned | undefined
  try {
    await sql.begin('read only', async (tx) => {
      await tx`set local plan_cache_mode = force_generic_plan`
      // The extended protocol takes one statement only: a semicolon in the view's SQL cannot smuggle in another.
      await tx.unsafe(`prepare trackops_preflight(${types}) as select u.* from (${query}) as u limit 1`, [], {
        prepare: true,
      })
      const nulls = parameters.map(() => 'null').join(', ')
      const rows = await tx.unsafe<{ 'QUERY PLAN': unknown }[]>(
        `explain (format json, verbose) execute trackops_preflight(${nulls})`,
      )
      const relations = new Map<string, readonly [string, string]>()
      collectRelations(rows[0]?.['QUERY PLAN'], relations)
      result = { ok: true, tables: await withAncestors(tx, [...relations.values()]) }
      await tx.unsafe('deallocate trackops_preflight')
    })
    return result ?? { ok: false, message: 'it gave no plan' }
  } catch (error) {
    if (error instanceof Error && SQL_IS_WRONG.test(sqlStateOf(error) ?? ''))
      return { ok: false, message: error.message }
    throw error
  }
}

function collectRelations(node: unknown, into: Map<string, readonly [string, string]>): void {
  if (Array.isArray(node)) {
    for (const part of node) collectRelations(part, into)
  } else if (typeof node === 'object' && node !== null) {
    const { Schema: schema, 'Relation Name': relation } = node as { Schema?: unknown; 'Relation Name'?: unknown }
    if (typeof schema === 'string' && typeof relation === 'string')
      into.set(`${schema}.${relation}`, [schema, relation])
    for (const part of Object.values(node)) collectRelations(part, into)
  }
}

async function withAncestors(
  tx: TransactionSql,
  relations: readonly (readonly [string, string])[],
): Promise<readonly (readonly string[])[]> {
  const rows = await tx<{ names: string[] }[]>`
    select array(select an.nspname || '.' || ac.relname
                   from (select c.oid union select relid::oid from pg_partition_ancestors(c.oid)) a
                   join pg_class ac on ac.oid = a.oid join pg_namespace an on an.oid = ac.relnamespace
                  order by a.oid <> c.oid) as names
      from unnest(${relations.map(([schema]) => schema)}::text[], ${relations.map(([, name]) => name)}::text[]) as w(s, r)
      join pg_namespace n on n.nspname = w.s join pg_class c on c.relnamespace = n.oid and c.relname = w.r
     where n.nspname not in ('pg_catalog', 'information_schema')`
  return rows.map(({ names }) => names)
}
