import type { CompiledView, CompiledViews } from '../../cache/compiled-view.ts'
import type { TrackOpsConfig } from '../define-config.ts'

/** What one view or one event definition needs of one table. */
export interface Requirement {
  /** `view order-entity`, `events order-events` */
  readonly by: string
  readonly kind: CompiledView['kind'] | 'events'
  readonly table: string
  readonly columns: readonly string[]
  /** Columns whose old values an update or a delete has to bring. */
  readonly oldColumns: readonly string[]
  /** Columns that make the Redis key, and for a list the member. */
  readonly keyColumns: readonly string[]
}

/** Pure: what the configuration needs, in its own order. */
export function requirementsOf(config: TrackOpsConfig, views: CompiledViews): readonly Requirement[] {
  const ofViews = views.all.flatMap((view): Requirement[] => {
    const by = `view ${view.name}`
    if (view.kind === 'query') {
      return view.view.dependsOn.map(({ table, columns, keys }) => ({
        by,
        kind: 'query',
        table,
        columns,
        oldColumns: keys ? columns : [],
        keyColumns: [],
      }))
    }
    const { table, columns } = view.view
    const keyColumns = view.kind === 'list' ? [...view.template.parameters, view.view.member] : view.template.parameters
    return [{ by, kind: view.kind, table, columns, oldColumns: keyColumns, keyColumns }]
  })
  const ofEvents = (config.events ?? []).map(({ topic, table, columns }): Requirement => ({
    by: `events ${topic}`,
    kind: 'events',
    table,
    columns,
    oldColumns: columns,
    keyColumns: [],
  }))
  return [...ofViews, ...ofEvents]
}

/** The requirements of each table, in the order in which tables are first named. */
export function byTable(requirements: readonly Requirement[]): ReadonlyMap<string, readonly Requirement[]> {
  return Map.groupBy(requirements, (requirement) => requirement.table)
}
