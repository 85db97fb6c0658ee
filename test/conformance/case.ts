export type GroupName = 'defaults' | 'registered' | 'double' | 'iso' | 'nanoseconds' | 'with-schemas'

/** Some SQL, and who watches it. */
export interface Case {
  /** A schema of the same name is made for it; `-` becomes `_`. */
  readonly name: string
  /** By group: the tables that are captured, `schema.table`. */
  readonly tables: Partial<Readonly<Record<GroupName, readonly string[]>>>
  /** Tables that are not there yet, as expressions. */
  readonly later?: readonly string[]
  /** Before anybody looks: what the snapshot will find. */
  readonly setup: string
  /** While both stream. The next one begins when all have seen what the one before did: the catalog is read late. */
  readonly steps: readonly string[]
}

export const ALL_GROUPS: readonly GroupName[] = [
  'defaults',
  'registered',
  'double',
  'iso',
  'nanoseconds',
  'with-schemas',
]

export function inGroups(groups: readonly GroupName[], tables: readonly string[]): Case['tables'] {
  return Object.fromEntries(groups.map((group) => [group, tables]))
}
