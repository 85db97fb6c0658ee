/**
 * A table as the change stream describes it at one moment. Column names, order and types come from pgoutput's relation
 * message and belong to the rows that follow it; nullability, defaults and keys come from the catalog when that message
 * is handled (Debezium does the same; debezium-events.md 6.2).
 */
export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly table: string
  readonly replicaIdentity: ReplicaIdentity
  readonly columns: readonly Column[]
  /** Indexes into `columns`, in primary key order; without one, those of a unique index; empty if there is neither. */
  readonly keyColumns: readonly number[]
  /** Column name to its index in `columns`. */
  readonly columnIndex: ReadonlyMap<string, number>
}

export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index'

export interface Column {
  readonly name: string
  readonly type: ColumnType
  /** Part of the replica identity: its old value is in every old tuple. */
  readonly isIdentity: boolean
  readonly isNullable: boolean
  /** `pg_get_expr` of the column's default, or null. */
  readonly defaultExpression: string | null
}

export interface ColumnType {
  /** As in the relation message: for a domain, the domain's own. */
  readonly oid: number
  /** The type below all domains. */
  readonly rootOid: number
  /** `pg_type.typname` of the root type: int4, numeric, _text, mood. */
  readonly name: string
  /** Type modifier in effect; for a domain, the domain's. -1 for none. */
  readonly modifier: number
  readonly kind: 'base' | 'enum' | 'array' | 'composite' | 'range' | 'multirange' | 'pseudo'
  /** Element type of an array, else null. */
  readonly element: ColumnType | null
}

/** `public.orders`: how tables are named in configuration, metrics and errors. */
export function qualifiedName(relation: Pick<Relation, 'schema' | 'table'>): string {
  return `${relation.schema}.${relation.table}`
}
